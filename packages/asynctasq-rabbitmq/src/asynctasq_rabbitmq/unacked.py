"""What a channel has not acknowledged yet, and acknowledging in as few frames as possible."""

from collections.abc import Iterable, Iterator

from asynctasq_rabbitmq.content import encode_ack
from asynctasq_rabbitmq.leases import Held


class Unacked:
    """The messages of one channel, by delivery tag and in its order."""

    def __init__(self, channel: int) -> None:
        self._channel = channel
        self._helds: dict[int, Held] = {}

    def __len__(self) -> int:
        return len(self._helds)

    def __iter__(self) -> Iterator[Held]:
        return iter(self._helds.values())

    def __contains__(self, held: Held) -> bool:
        return self._helds.get(held.tag) is held

    def add(self, held: Held) -> None:
        """Take note of a delivery."""
        self._helds[held.tag] = held

    def clear(self) -> None:
        """Forget all: the channel has ended."""
        self._helds.clear()

    def remove(self, helds: Iterable[Held]) -> bytes:
        """Forget `helds`, and return the frames that acknowledge them.

        One frame acknowledges all up to the first that stays, and one each of the others.
        """
        tags: list[int] = []
        for held in helds:
            if self._helds.pop(held.tag, None) is not None:
                held.subscription.busy -= 1
                tags.append(held.tag)
        tags.sort()
        stays = next(iter(self._helds), None)
        together = [tag for tag in tags if stays is None or tag < stays]
        frames = [encode_ack(self._channel, tag, multiple=False) for tag in tags[len(together) :]]
        if together:
            frames.insert(0, encode_ack(self._channel, together[-1], multiple=True))
        return b"".join(frames)
