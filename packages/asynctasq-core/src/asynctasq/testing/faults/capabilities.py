"""Drivers whose capabilities `Inspector` or `Workers` are wrong."""

from collections.abc import Sequence
from dataclasses import replace

from asynctasq.drivers import (
    Delivery,
    QueueStats,
    Settlement,
    State,
    StoredMessage,
    WorkerInfo,
)
from asynctasq.drivers.memory import MemoryDriver
from asynctasq.drivers.memory_store import MemoryStore
from asynctasq.testing.contract import (
    BrowseContract,
    CountsContract,
    RepairContract,
    WorkersContract,
)
from asynctasq.testing.faults.registry import behaving_as, caught_by


@caught_by(CountsContract.test_counts_are_exact)
class CountsHeldAsReady(MemoryDriver):
    """It counts the length of one list for two states."""

    async def counts(self, queues: Sequence[str]) -> Sequence[QueueStats]:
        """Count what is held twice."""
        return [replace(one, ready=one.unfinished) for one in await super().counts(queues)]


@caught_by(CountsContract.test_a_queue_with_one_message_is_listed)
class HidesQueuesOfTheDead(MemoryDriver):
    """It lists only queues with messages to deliver."""

    async def queues(self) -> Sequence[QueueStats]:
        """Leave out queues that hold only dead messages."""
        return [one for one in await super().queues() if one.unfinished]


@caught_by(CountsContract.test_queues_are_counted_in_the_order_asked_for)
class CountsInItsOwnOrder(MemoryDriver):
    """It returns the queues that it has, by name."""

    async def counts(self, queues: Sequence[str]) -> Sequence[QueueStats]:
        """Leave out empty queues."""
        return [one for one in await super().queues() if one.queue in queues]


@caught_by(CountsContract.test_a_message_whose_lease_ran_out_is_ready)
class CallsALateHolderRunning(MemoryDriver):
    """It counts receipts and ignores the ends of leases."""

    async def counts(self, queues: Sequence[str]) -> Sequence[QueueStats]:
        """Count every delivered message as running."""
        return [
            replace(one, ready=0, running=one.unfinished) for one in await super().counts(queues)
        ]


@caught_by(CountsContract.test_the_oldest_ready_message_tells_its_age)
class KnowsNoAge(MemoryDriver):
    """It does not report the age of the oldest message."""

    async def counts(self, queues: Sequence[str]) -> Sequence[QueueStats]:
        """Count without ages."""
        return [replace(one, oldest=None) for one in await super().counts(queues)]


@caught_by(BrowseContract.test_what_comes_next_is_shown_first)
class BrowsesBackwards(MemoryDriver):
    """It shows the end of the queue."""

    async def browse(
        self, queue: str, state: State, *, limit: int, offset: int = 0
    ) -> Sequence[StoredMessage]:
        """Show the last messages first."""
        return self._store.browse(queue, state)[::-1][offset : offset + limit]


@caught_by(BrowseContract.test_pages_follow_each_other)
class ShowsTheFirstPageOnly(MemoryDriver):
    """It ignores the offset."""

    async def browse(
        self, queue: str, state: State, *, limit: int, offset: int = 0
    ) -> Sequence[StoredMessage]:
        """Show the first messages."""
        return await super().browse(queue, state, limit=limit)


@caught_by(BrowseContract.test_browsing_shows_one_state_and_nothing_else)
class BrowsesAllStates(MemoryDriver):
    """It shows all messages of the queue."""

    async def browse(
        self, queue: str, state: State, *, limit: int, offset: int = 0
    ) -> Sequence[StoredMessage]:
        """Show messages of every state."""
        shown = [one for each in State for one in self._store.browse(queue, each)]
        return shown[offset : offset + limit]


@caught_by(BrowseContract.test_a_dead_message_shows_its_attempts_and_its_note)
class ForgetsTheNote(MemoryDriver):
    """It does not return the note of a dead message."""

    async def browse(
        self, queue: str, state: State, *, limit: int, offset: int = 0
    ) -> Sequence[StoredMessage]:
        """Show messages without notes."""
        shown = await super().browse(queue, state, limit=limit, offset=offset)
        return [replace(one, note="") for one in shown]


@caught_by(BrowseContract.test_messages_are_found_in_the_order_asked_for)
class FindsInItsOwnOrder(MemoryDriver):
    """It returns messages in the order of its storage."""

    async def find(self, queue: str, ids: Sequence[str]) -> Sequence[StoredMessage]:
        """Find messages in reverse order."""
        return (await super().find(queue, ids))[::-1]


@caught_by(BrowseContract.test_a_note_may_be_long)
class CutsALongNote(MemoryDriver):
    """Its column has 255 characters."""

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes, and keep the start of each note."""
        return await super().settle([replace(one, note=one.note[:255]) for one in settlements])


class _KeepsAttempts(MemoryStore):
    def requeue(self, queue: str, ids: Sequence[str]) -> list[str]:
        attempts = {one.id: one.attempt for one in self.find(queue, ids)}
        done = super().requeue(queue, ids)
        for entry in self._entries(queue, done):
            entry.attempt = attempts[entry.message.id]
        return done


@caught_by(RepairContract.test_a_requeued_message_is_new)
class RequeuesWithItsAttempts(MemoryDriver):
    """It keeps the attempts, so that a requeued message dies at once."""

    async def requeue(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Make messages deliverable, and keep their attempts."""
        return behaving_as(_KeepsAttempts, self._store).requeue(queue, ids)


@caught_by(RepairContract.test_only_dead_messages_are_requeued)
class SaysItRequeuedEverything(MemoryDriver):
    """It returns the ids it was given."""

    async def requeue(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Requeue messages, and return every id."""
        await super().requeue(queue, ids)
        return ids


class _DeletesHeld(MemoryStore):
    def delete(self, queue: str, ids: Sequence[str]) -> list[str]:
        gone = [entry.message.id for entry in self._entries(queue, ids)]
        for message_id in gone:
            del self._queues[queue].entries[message_id]
        return gone


@caught_by(RepairContract.test_deleting_leaves_the_holder_of_a_message_alone)
class DeletesWhatIsHeld(MemoryDriver):
    """It deletes a message while a worker holds it."""

    async def delete(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove messages in any state."""
        return behaving_as(_DeletesHeld, self._store).delete(queue, ids)


@caught_by(RepairContract.test_a_purge_removes_one_state_and_nothing_else)
class PurgesEveryState(MemoryDriver):
    """It purges the whole queue."""

    async def purge(self, queue: str, state: State) -> int:
        """Remove every message that is not held."""
        states = (State.READY, State.DELAYED, State.DEAD)
        counts = {one: await super(PurgesEveryState, self).purge(queue, one) for one in states}
        return counts[state]


@caught_by(RepairContract.test_held_messages_cannot_be_purged)
class PurgesRunningQuietly(MemoryDriver):
    """It ignores a purge that it must refuse."""

    async def purge(self, queue: str, state: State) -> int:
        """Do nothing for held messages."""
        return 0 if state is State.RUNNING else await super().purge(queue, state)


@caught_by(WorkersContract.test_a_worker_not_heard_from_is_forgotten)
class NeverForgetsAWorker(MemoryDriver):
    """It lists workers that died."""

    async def heartbeat(self, worker: WorkerInfo, *, ttl: float) -> None:
        """Register the worker without an end."""
        await super().heartbeat(worker, ttl=1e6)


@caught_by(WorkersContract.test_a_worker_that_ended_is_forgotten)
class IgnoresAWorkersEnd(MemoryDriver):
    """It lists workers that ended."""

    async def forget(self, worker_id: str) -> None:
        """Do nothing."""


@caught_by(WorkersContract.test_the_latest_heartbeat_replaces_the_one_before)
class KeepsTheFirstHeartbeat(MemoryDriver):
    """It inserts, but does not replace."""

    async def heartbeat(self, worker: WorkerInfo, *, ttl: float) -> None:
        """Register only new workers."""
        if worker.id not in [info.id for info, _ in await self.workers()]:
            await super().heartbeat(worker, ttl=ttl)


@caught_by(RepairContract.test_what_cannot_be_looked_into_is_refused)
class SaysItCannotLook(MemoryDriver):
    """It shows states that its `Limits` exclude."""

    limits = replace(MemoryDriver.limits, inspects=frozenset({State.DEAD}))
