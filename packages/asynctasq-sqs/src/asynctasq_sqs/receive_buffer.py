"""Buffers received messages until a dequeue takes them, for seconds."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asynctasq.drivers import Delivery
from asynctasq_sqs.leases import receipt_of

#: Seconds for which a message is buffered; its lease is running.
KEPT = 2.0


@dataclass(frozen=True, slots=True)
class Item:
    """A buffered message, its sort key, and the end of its time here."""

    delivery: Delivery
    order: tuple[float, int]
    until: float

    @property
    def good(self) -> bool:
        """Whether its lease holds."""
        return receipt_of(self.delivery).good


class ReceiveBuffer:
    """Received messages by queue; those not taken in time are released."""

    def __init__(self, release: Callable[[Sequence[Delivery]], None]) -> None:
        self._release = release
        self._items: defaultdict[str, list[Item]] = defaultdict(list)
        self._timer: asyncio.TimerHandle | None = None

    def put(self, queue: str, received: Sequence[tuple[Delivery, tuple[float, int]]]) -> None:
        """Add received messages."""
        if received:
            until = asyncio.get_running_loop().time() + KEPT
            self._items[queue] += (Item(delivery, order, until) for delivery, order in received)
            self._set_timer()

    def count(self, queues: Sequence[str]) -> int:
        """Return the number of buffered messages of these queues."""
        return sum(item.good for queue in queues for item in self._items.get(queue, ()))

    def take(self, queues: Sequence[str], limit: int) -> list[Delivery]:
        """Take up to `limit` messages: in the order of queues, the oldest first."""
        taken: list[Delivery] = []
        for queue in queues:
            if queue in self._items:
                items = sorted(self._items.pop(queue), key=lambda item: item.order)
                items = [item for item in items if item.good]
                room = limit - len(taken)
                taken += (item.delivery for item in items[:room])
                if items[room:]:
                    self._items[queue] = items[room:]
        return taken

    def close(self) -> None:
        """Release all messages."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._release_if(lambda _: True)

    def _expire(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        self._release_if(lambda item: item.until <= now)
        self._set_timer()

    def _release_if(self, chosen: Callable[[Item], bool]) -> None:
        released: list[Delivery] = []
        for queue, items in list(self._items.items()):
            released += (item.delivery for item in items if chosen(item) and item.good)
            self._items[queue] = [item for item in items if not chosen(item)]
            if not self._items[queue]:
                del self._items[queue]
        if released:
            self._release(released)

    def _set_timer(self) -> None:
        if self._timer is None and self._items:
            soonest = min(item.until for items in self._items.values() for item in items)
            self._timer = asyncio.get_running_loop().call_at(soonest, self._expire)
