"""Drivers that deliver messages wrongly."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from asynctasq.drivers import Delivery
from asynctasq.drivers.memory import MemoryDriver
from asynctasq.errors import BrokerRejected
from asynctasq.testing.contract import DequeueContract
from asynctasq.testing.faults.registry import caught_by


@caught_by(DequeueContract.test_no_more_than_the_limit_is_taken)
class IgnoresTheLimit(MemoryDriver):
    """It takes one too many."""

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take one more."""
        return await super().dequeue(queues, limit=limit + 1, lease=lease, wait=wait)


@caught_by(DequeueContract.test_the_limit_counts_over_all_queues)
class LimitsEachQueue(MemoryDriver):
    """It takes up to the limit from every queue."""

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take from each queue separately."""
        parts = [
            await super(LimitsEachQueue, self).dequeue([one], limit=limit, lease=lease, wait=wait)
            for one in queues
        ]
        return [one for part in parts for one in part]


@caught_by(DequeueContract.test_queues_are_served_in_the_order_asked_for)
class ServesQueuesBackwards(MemoryDriver):
    """It starts with the last queue."""

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take in the opposite order."""
        return await super().dequeue(queues[::-1], limit=limit, lease=lease, wait=wait)


@caught_by(DequeueContract.test_a_later_queue_is_left_alone_while_an_earlier_one_fills_the_limit)
class TakesTurnsBetweenQueues(MemoryDriver):
    """It is fair where it should be strict."""

    turn = 0

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Start with another queue each time, after the first."""
        start = self.turn % len(queues)
        self.turn += 1
        order = [*queues[start:], *queues[:start]]
        return await super().dequeue(order, limit=min(limit, 1), lease=lease, wait=wait)


@caught_by(DequeueContract.test_a_held_message_is_given_to_nobody_else)
class LeasesNothing(MemoryDriver):
    """It delivers without a lease."""

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take with a lease that ends at once."""
        return await super().dequeue(queues, limit=limit, lease=1e-6, wait=wait)


@caught_by(DequeueContract.test_a_lease_lasts_its_whole_length)
class CutsTheLeaseShort(MemoryDriver):
    """It mistakes the unit of the lease."""

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take with a quarter of the lease."""
        return await super().dequeue(queues, limit=limit, lease=lease / 4, wait=wait)


@caught_by(DequeueContract.test_a_lease_that_runs_out_gives_the_message_to_another)
class NeverEndsALease(MemoryDriver):
    """It removes messages instead of leasing them."""

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take with a lease that never ends."""
        return await super().dequeue(queues, limit=limit, lease=1e6, wait=wait)


@caught_by(DequeueContract.test_an_error_loses_nothing_that_was_taken)
class DropsWhatItTookBeforeAnError(MemoryDriver):
    """It takes queue by queue, and an error loses the messages of the first queue."""

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take from each queue, and fail at a refused name."""
        taken: list[Delivery] = []
        for queue in queues:
            if "\0" in queue:
                raise BrokerRejected("a name has no NUL character")
            left = limit - len(taken)
            taken += await super().dequeue([queue], limit=left, lease=lease, wait=wait)
        return taken


@caught_by(DequeueContract.test_the_attempt_is_counted_at_each_delivery)
class CountsNoAttempt(MemoryDriver):
    """It does not count the attempt of a worker that died."""

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Return every delivery as the first attempt."""
        taken = await super().dequeue(queues, limit=limit, lease=lease, wait=wait)
        return [replace(one, attempt=1) for one in taken]


@caught_by(DequeueContract.test_drivers_side_by_side_take_each_message_once)
class LooksBeforeItLeases(MemoryDriver):
    """It reads and leases in two steps, with a race between them."""

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Read messages, then lease them."""
        seen = await super().dequeue(queues, limit=limit, lease=1e-6, wait=wait)
        await asyncio.sleep(0)
        await super().extend(seen, lease=lease)
        return seen
