"""The unacknowledged messages of a channel, acknowledged in as few frames as possible."""

from collections.abc import Iterable, Iterator

from asynctasq_rabbitmq.content import encode_ack
from asynctasq_rabbitmq.leases import HeldDelivery


class Unacked:
    """The unacknowledged messages of one channel, in the order of their delivery tags."""

    def __init__(self, channel: int) -> None:
        self._channel = channel
        self._by_tag: dict[int, HeldDelivery] = {}

    def __len__(self) -> int:
        return len(self._by_tag)

    def __iter__(self) -> Iterator[HeldDelivery]:
        return iter(self._by_tag.values())

    def __contains__(self, held: HeldDelivery) -> bool:
        return self._by_tag.get(held.tag) is held

    def add(self, held: HeldDelivery) -> None:
        """Add a delivery."""
        self._by_tag[held.tag] = held

    def clear(self) -> None:
        """Remove all deliveries: the channel has ended."""
        self._by_tag.clear()

    def remove(self, deliveries: Iterable[HeldDelivery]) -> bytes:
        """Remove `deliveries`, and return the frames that acknowledge them.

        One frame acknowledges all before the first remaining one, and one frame each the others.
        """
        tags: list[int] = []
        for held in deliveries:
            if self._by_tag.pop(held.tag, None) is not None:
                held.subscription.busy -= 1
                tags.append(held.tag)
        tags.sort()
        first_remaining = next(iter(self._by_tag), None)
        together = [tag for tag in tags if first_remaining is None or tag < first_remaining]
        frames = [encode_ack(self._channel, tag, multiple=False) for tag in tags[len(together) :]]
        if together:
            frames.insert(0, encode_ack(self._channel, together[-1], multiple=True))
        return b"".join(frames)
