"""Drivers that pause or revoke wrongly."""

from collections.abc import Sequence

from asynctasq.drivers import Delivery, Settlement
from asynctasq.drivers.memory import MemoryDriver
from asynctasq.testing.contract import ControlContract
from asynctasq.testing.faults.registry import caught_by


@caught_by(ControlContract.test_a_paused_queue_is_not_delivered)
class PausesItselfOnly(MemoryDriver):
    """Pauses a queue in its own process only."""

    async def pause(self, queue: str) -> bool:
        """Store the queue in this driver."""
        self._resting: set[str] = {queue}
        return True

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Leave out the queues that are paused in this driver."""
        others = [one for one in queues if one not in getattr(self, "_resting", ())]
        return await super().dequeue(others, limit=limit, lease=lease, wait=wait)


@caught_by(ControlContract.test_other_queues_of_the_same_dequeue_are_delivered)
class PausesTheWholeFetch(MemoryDriver):
    """Delivers nothing while any queue is paused."""

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take nothing while any queue is paused."""
        if set(queues) & set(await self.paused()):
            return []
        return await super().dequeue(queues, limit=limit, lease=lease, wait=wait)


@caught_by(ControlContract.test_what_is_held_is_extended_and_settled)
class PausesOutcomesToo(MemoryDriver):
    """Refuses outcomes for a paused queue."""

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Refuse the outcomes of a paused queue."""
        paused = await self.paused()
        lost = [one.delivery for one in settlements if one.delivery.queue in paused]
        good = [one for one in settlements if one.delivery.queue not in paused]
        return [*lost, *await super().settle(good)]


@caught_by(ControlContract.test_a_queue_is_paused_and_resumed_once)
class AlwaysSaysYes(MemoryDriver):
    """Returns the same result whether anything changed or not."""

    async def pause(self, queue: str) -> bool:
        """Pause the queue, and return true."""
        await super().pause(queue)
        return True


@caught_by(ControlContract.test_only_what_is_held_is_revoked)
class RevokesWhatWaits(MemoryDriver):
    """Removes messages by id, in any state."""

    async def revoke(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove all of them."""
        return [*await super().revoke(queue, ids), *await self.delete(queue, ids)]


@caught_by(ControlContract.test_the_outcome_of_a_revoked_message_changes_nothing)
class RevokesAtTheNextRetry(MemoryDriver):
    """Leaves the message to its holder."""

    async def revoke(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove nothing."""
        return ids
