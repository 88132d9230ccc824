"""Messages that are taken before there is a slot for them.

While a worker with a backlog of short tasks fetches, its slots would run empty: it would run and
fetch in turn, and a small worker in small batches. So it takes ahead what its slots are through
with in `HORIZON` seconds, judged by how long they were taken lately, and gives back what has waited
for `PATIENCE`. What is taken ahead is held under a lease like what runs.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from asynctasq.drivers.base_driver import Delivery

#: Seconds in which what is taken ahead should have begun.
HORIZON = 0.02
#: Seconds after which what has not begun is given back: another worker may have a slot for it.
PATIENCE = 0.2
#: Bytes of bodies that may be ahead.
MOST_BYTES = 4 * 1024 * 1024
#: How much the latest attempt weighs in the average.
WEIGHT = 1 / 16


class Ahead:
    """What was taken ahead, first come first served, and how much may be.

    Args:
        slots: attempts at once.
        most: messages that may be ahead.
        exact: whether the broker counts as attempts only what it gave to a worker. Where one was
            made already, the next shall not be used up by a worker that dies while the message
            only lies here.
        give_back: takes what has waited for too long.
    """

    def __init__(
        self, slots: int, *, most: int, exact: bool, give_back: Callable[[Sequence[Delivery]], None]
    ) -> None:
        self._slots = slots
        self._limit = most
        self._exact = exact
        self._give_back = give_back
        self._waiting: OrderedDict[tuple[str, str], tuple[float, Delivery]] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._busy = 1.0  # seconds for which an attempt has its slot: slow until it shows
        self._last_end = 0.0
        self._most = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def ended(self, started: float) -> None:
        """Take note that an attempt has ended that had begun then, by `time.perf_counter`."""
        now = self._last_end = time.perf_counter()
        self._busy += (now - started - self._busy) * WEIGHT

    def fetched(self, deliveries: Sequence[Delivery], limit: int) -> None:
        """Take note of what a fetch brought that asked for `limit` messages.

        Only a backlog is taken ahead of, for then other workers find as much to do.
        """
        if len(deliveries) < limit or (self._exact and any(one.attempt > 1 for one in deliveries)):
            self._most = 0
        else:
            largest = max(len(one.body) for one in deliveries)
            self._most = min(self._limit, MOST_BYTES // max(largest, 1))

    def wanted(self) -> int:
        """How many more to take now: none before half of them have begun."""
        if not self._most:
            return 0
        standstill = time.perf_counter() - self._last_end
        soon = int(self._slots * HORIZON / max(self._busy, standstill))
        most = min(self._most, soon)
        return most - len(self._waiting) if 2 * len(self._waiting) <= most else 0

    def takes(self, delivery: Delivery) -> bool:
        """Whether a message may wait here; if not, it is to be given back at once."""
        return delivery.attempt == 1 or not self._exact

    def put(self, delivery: Delivery) -> None:
        """Let a message wait for a slot."""
        loop = asyncio.get_running_loop()
        self._waiting[delivery.queue, delivery.id] = loop.time(), delivery
        if self._timer is None:
            self._timer = loop.call_later(PATIENCE, self._look)

    def pop(self) -> Delivery:
        """The message whose turn it is."""
        return self._waiting.popitem(last=False)[1][1]

    def replace(self, delivery: Delivery) -> bool:
        """Let `delivery` be the lease of a message that waits here, if it does."""
        known = self._waiting.get((delivery.queue, delivery.id))
        if known is not None:
            self._waiting[delivery.queue, delivery.id] = known[0], delivery
        return known is not None

    def drop(self, delivery: Delivery) -> bool:
        """Forget a message whose lease was lost, if it waits here under that lease."""
        known = self._waiting.get((delivery.queue, delivery.id))
        if known is None or known[1] != delivery:
            return False
        del self._waiting[delivery.queue, delivery.id]
        return True

    def release(self) -> None:
        """Give all back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            self._most = 0
            deliveries = [delivery for _, delivery in self._waiting.values()]
            self._waiting.clear()
            self._give_back(deliveries)

    def _look(self) -> None:
        self._timer = None
        if not self._waiting:
            return
        loop = asyncio.get_running_loop()
        due = next(iter(self._waiting.values()))[0] + PATIENCE
        if due > loop.time():
            self._timer = loop.call_at(due, self._look)
        else:
            self.release()
