"""The prefetch: how many messages to take before slots are free, and how long they may wait.

Without it, the slots of a worker with a backlog of short tasks are empty while it fetches, and a
small worker fetches small batches. So a worker prefetches the messages that its slots will consume
within `HORIZON` seconds, estimated from recent task durations, and releases those that have waited
for `PATIENCE`. A prefetched message is held under a lease, as a running one is.
"""

import asyncio
import time
from collections.abc import Sequence

from asynctasq.core.execution.attempt import Attempt
from asynctasq.core.worker.in_flight import InFlight
from asynctasq.drivers.base_driver import Delivery, Limits

#: Seconds within which a prefetched message should start.
HORIZON = 0.02
#: Seconds after which a message that has not started is released to other workers.
PATIENCE = 0.2
#: Limit on the bodies that are prefetched, in bytes.
MOST_BYTES = 4 * 1024 * 1024
#: The weight of the latest attempt in the moving average.
WEIGHT = 1 / 16


class Prefetch:
    """Estimates how many messages the slots will consume, and releases the rest of the buffer.

    Args:
        in_flight: its buffered records are the prefetched messages.
        slots: the limit on running attempts.
        limits: how much may be prefetched. With exact attempts, only first attempts wait in the
            buffer: a worker that dies must not use up a later attempt that never started.
    """

    def __init__(self, in_flight: InFlight, limits: Limits, *, slots: int) -> None:
        self._in_flight = in_flight
        self._slots = slots
        self._limit = limits.prefetch
        self._exact = limits.exact_attempts
        self._timer: asyncio.TimerHandle | None = None
        self._busy = 1.0  # average seconds of an attempt in its slot; slow until measured
        self._last_end = 0.0
        self._most = 0

    def ended(self, started: float) -> None:
        """Records the end of an attempt that started at `started`, by `time.perf_counter`."""
        now = self._last_end = time.perf_counter()
        self._busy += (now - started - self._busy) * WEIGHT

    def fetched(self, deliveries: Sequence[Delivery], limit: int) -> None:
        """Records the result of a fetch of `limit` messages.

        Only a full fetch shows a backlog that leaves enough messages for other workers.
        """
        if len(deliveries) < limit or (self._exact and any(new.attempt > 1 for new in deliveries)):
            self._most = 0
        else:
            largest = max(len(new.body) for new in deliveries)
            self._most = min(self._limit, MOST_BYTES // max(largest, 1))

    def wanted(self) -> int:
        """Returns how many more to take now; 0 until half of the buffer has started."""
        if not self._most:
            return 0
        buffered = self._in_flight.buffered
        standstill = time.perf_counter() - self._last_end
        soon = int(self._slots * HORIZON / max(self._busy, standstill))
        most = min(self._most, soon)
        return most - buffered if 2 * buffered <= most else 0

    def may_wait(self, delivery: Delivery) -> bool:
        """Whether a message may wait in the buffer; otherwise it is released at once."""
        return delivery.attempt == 1 or not self._exact

    def wait(self, attempt: Attempt) -> None:
        """Lets a buffered attempt wait for a slot, for `PATIENCE`."""
        loop = asyncio.get_running_loop()
        attempt.buffered_at = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(PATIENCE, self._release_if_due)

    def close(self) -> None:
        """Releases all buffered messages."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._in_flight.buffered:
            self._most = 0
            self._in_flight.release_buffer()

    def _release_if_due(self) -> None:
        self._timer = None
        first = self._in_flight.first_buffered()
        if first is None:
            return
        loop = asyncio.get_running_loop()
        due = first.buffered_at + PATIENCE
        if due > loop.time():
            self._timer = loop.call_at(due, self._release_if_due)
        else:
            self.close()
