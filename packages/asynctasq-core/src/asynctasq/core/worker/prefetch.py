"""How many messages to take before there are slots for them, and for how long they may wait.

While a worker with a backlog of short tasks fetches, its slots would run empty: it would run and
fetch in turn, and a small worker in small batches. So it prefetches what its slots will consume
within `HORIZON` seconds, estimated from recent task durations, and releases what has waited for
`PATIENCE`. What is prefetched is held under a lease like what runs.
"""

import asyncio
import time
from collections.abc import Sequence

from asynctasq.core.execution.attempt import Attempt
from asynctasq.core.worker.in_flight import InFlight
from asynctasq.drivers.base_driver import Delivery, Limits

#: Seconds in which what is prefetched should have started.
HORIZON = 0.02
#: Seconds after which what has not started is released: another worker may have a slot for it.
PATIENCE = 0.2
#: Bytes of bodies that may be prefetched.
MOST_BYTES = 4 * 1024 * 1024
#: The weight of the latest attempt in the moving average.
WEIGHT = 1 / 16


class Prefetch:
    """Estimates what the slots will consume, and releases what they did not.

    Args:
        in_flight: its buffered records are what was prefetched.
        slots: attempts that run at once.
        limits: how much may be prefetched. Where the broker counts as attempts only what it gave
            to a worker, only first attempts are: a later one shall not be used up by a worker that
            dies while the message only waits here.
    """

    def __init__(self, in_flight: InFlight, limits: Limits, *, slots: int) -> None:
        self._in_flight = in_flight
        self._slots = slots
        self._limit = limits.ahead
        self._exact = limits.exact_attempts
        self._timer: asyncio.TimerHandle | None = None
        self._busy = 1.0  # average seconds for which an attempt has its slot: slow until it shows
        self._last_end = 0.0
        self._most = 0

    def ended(self, started: float) -> None:
        """Record the end of an attempt that started at `started`, by `time.perf_counter`."""
        now = self._last_end = time.perf_counter()
        self._busy += (now - started - self._busy) * WEIGHT

    def fetched(self, deliveries: Sequence[Delivery], limit: int) -> None:
        """Record what a fetch of `limit` messages returned.

        Only a full fetch shows a backlog, of which enough is left for other workers.
        """
        if len(deliveries) < limit or (self._exact and any(one.attempt > 1 for one in deliveries)):
            self._most = 0
        else:
            largest = max(len(one.body) for one in deliveries)
            self._most = min(self._limit, MOST_BYTES // max(largest, 1))

    def wanted(self) -> int:
        """How many more to take now: none before half of what is buffered has started."""
        if not self._most:
            return 0
        buffered = self._in_flight.buffered
        standstill = time.perf_counter() - self._last_end
        soon = int(self._slots * HORIZON / max(self._busy, standstill))
        most = min(self._most, soon)
        return most - buffered if 2 * buffered <= most else 0

    def may_wait(self, delivery: Delivery) -> bool:
        """Whether a message may wait for a slot; otherwise it is released at once."""
        return delivery.attempt == 1 or not self._exact

    def wait(self, attempt: Attempt) -> None:
        """Let a buffered attempt wait for a slot, for `PATIENCE`."""
        loop = asyncio.get_running_loop()
        attempt.buffered_at = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(PATIENCE, self._look)

    def close(self) -> None:
        """Release what is buffered now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._in_flight.buffered:
            self._most = 0
            self._in_flight.release_buffer()

    def _look(self) -> None:
        self._timer = None
        first = self._in_flight.first_buffered()
        if first is None:
            return
        loop = asyncio.get_running_loop()
        due = first.buffered_at + PATIENCE
        if due > loop.time():
            self._timer = loop.call_at(due, self._look)
        else:
            self.close()
