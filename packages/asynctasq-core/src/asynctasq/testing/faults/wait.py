"""Drivers that wait wrongly."""

import asyncio
from collections.abc import Sequence

from asynctasq.drivers import Delivery, DriverSettings, Outcome, Settlement
from asynctasq.drivers.memory import MemoryDriver
from asynctasq.drivers.memory_store import MemoryStore
from asynctasq.testing.contract import WaitContract
from asynctasq.testing.faults.registry import behaving_as, caught_by


@caught_by(WaitContract.test_without_a_wait_it_never_blocks)
class TakesNoWaitForNoLimit(MemoryDriver):
    """Its broker treats a timeout of zero as none."""

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Wait an hour instead of not at all."""
        return await super().dequeue(queues, limit=limit, lease=lease, wait=wait or 3600)


@caught_by(WaitContract.test_it_is_empty_after_the_wait)
class NeverWaits(MemoryDriver):
    """It makes the engine poll."""

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Poll once."""
        return await super().dequeue(queues, limit=limit, lease=lease, wait=0)


@caught_by(WaitContract.test_it_does_not_wait_for_the_limit_to_be_filled)
class WaitsForTheLimit(MemoryDriver):
    """It collects a full batch before it returns."""

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Dequeue again unless the limit is filled."""
        taken = [*await super().dequeue(queues, limit=limit, lease=lease, wait=wait)]
        if taken and len(taken) < limit:
            remaining = limit - len(taken)
            taken += await super().dequeue(queues, limit=remaining, lease=lease, wait=wait)
        return taken


@caught_by(WaitContract.test_it_wakes_for_a_new_message)
class PollsSlowly(MemoryDriver):
    """It sleeps between two polls."""

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Poll, sleep, poll again."""
        taken = await super().dequeue(queues, limit=limit, lease=lease, wait=0)
        if not taken:
            await asyncio.sleep(wait)
            taken = await super().dequeue(queues, limit=limit, lease=lease, wait=0)
        return taken


@caught_by(WaitContract.test_it_wakes_for_a_message_on_any_of_its_queues)
class WatchesItsFirstQueue(MemoryDriver):
    """It waits for the first queue only."""

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Poll all queues, then wait for the first."""
        taken = await super().dequeue(queues, limit=limit, lease=lease, wait=0)
        return taken or await super().dequeue(queues[:1], limit=limit, lease=lease, wait=wait)


class _NoTimers(MemoryStore):
    def seconds_to_next(self, queues: Sequence[str]) -> float | None:
        return None


@caught_by(WaitContract.test_it_wakes_for_a_message_that_becomes_due)
class SleepsThroughDueMessages(MemoryDriver):
    """It wakes for new messages only, not for delayed ones."""

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings)
        self._store = behaving_as(_NoTimers, self._store)


class _OldTimers(MemoryStore):
    def watch(self, event: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
        """Ignore changes: a new delayed message does not move the timer."""


@caught_by(WaitContract.test_it_wakes_for_a_delayed_message_that_came_while_it_waited)
class KeepsItsFirstTimer(MemoryDriver):
    """It computes its sleep only once."""

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings)
        self._store = behaving_as(_OldTimers, self._store)


@caught_by(WaitContract.test_it_wakes_for_a_message_that_is_given_back)
class GivesBackSilently(MemoryDriver):
    """Its `settle` does not wake waiting dequeues."""

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes without waking."""
        return behaving_as(_WakesNobody, self._store).settle(settlements)


class _WakesNobody(MemoryStore):
    def _wake(self) -> None:
        pass


class _WakesOne(MemoryStore):
    def _wake(self) -> None:
        for event, loop in list(self._waiters.items())[:1]:
            loop.call_soon_threadsafe(event.set)


@caught_by(WaitContract.test_every_one_of_many_waiters_gets_one_message)
class WakesOneOfMany(MemoryDriver):
    """It wakes one waiter for a whole batch."""

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings)
        self._store = behaving_as(_WakesOne, self._store)


@caught_by(WaitContract.test_waiting_keeps_no_other_call_waiting)
class OneCallAtATime(MemoryDriver):
    """A lock around its only connection."""

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings)
        self.lock = asyncio.Lock()

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take with the lock held."""
        async with self.lock:
            return await super().dequeue(queues, limit=limit, lease=lease, wait=wait)


@caught_by(WaitContract.test_cancelled_at_any_instant_it_loses_nothing)
class DropsWhatACancelledDequeueTook(MemoryDriver):
    """It loses the messages in an answer that arrives after the cancellation."""

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Acknowledge on arrival."""
        taken = await super().dequeue(queues, limit=limit, lease=lease, wait=wait)
        try:
            await asyncio.sleep(0.002)
        except asyncio.CancelledError:
            await super().settle([Settlement(one, Outcome.DONE) for one in taken])
            raise
        return taken
