"""Messages that came and that nobody has taken yet."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asynctasq.drivers import Delivery
from asynctasq_sqs.leases import receipt_of

#: Seconds for which what came is kept here; its lease is running.
KEPT = 2.0


@dataclass(frozen=True, slots=True)
class Item:
    """A message, when it was sent, and until when it is kept."""

    delivery: Delivery
    order: tuple[float, int]
    until: float

    @property
    def good(self) -> bool:
        """Whether its lease holds."""
        return receipt_of(self.delivery).good


class Inbox:
    """Holds messages by queue for a short time, and hands back what is not taken."""

    def __init__(self, hand_back: Callable[[Sequence[Delivery]], None]) -> None:
        self._hand_back = hand_back
        self._items: defaultdict[str, list[Item]] = defaultdict(list)
        self._timer: asyncio.TimerHandle | None = None

    def put(self, queue: str, came: Sequence[tuple[Delivery, tuple[float, int]]]) -> None:
        """Keep what came for a while."""
        if came:
            until = asyncio.get_running_loop().time() + KEPT
            self._items[queue] += (Item(delivery, order, until) for delivery, order in came)
            self._set_timer()

    def count(self, queues: Sequence[str]) -> int:
        """How many messages of these queues are here."""
        return sum(item.good for queue in queues for item in self._items.get(queue, ()))

    def take(self, queues: Sequence[str], limit: int) -> list[Delivery]:
        """Up to `limit` messages, of the first queue first, the oldest first."""
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
        """Hand back everything."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._give(lambda _: True)

    def _expire(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        self._give(lambda item: item.until <= now)
        self._set_timer()

    def _give(self, chosen: Callable[[Item], bool]) -> None:
        given: list[Delivery] = []
        for queue, items in list(self._items.items()):
            given += (item.delivery for item in items if chosen(item) and item.good)
            self._items[queue] = [item for item in items if not chosen(item)]
            if not self._items[queue]:
                del self._items[queue]
        if given:
            self._hand_back(given)

    def _set_timer(self) -> None:
        if self._timer is None and self._items:
            soonest = min(item.until for items in self._items.values() for item in items)
            self._timer = asyncio.get_running_loop().call_at(soonest, self._expire)
