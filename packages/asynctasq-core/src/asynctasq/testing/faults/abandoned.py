"""Drivers that report `Delivery.abandoned` wrongly."""

from collections.abc import Sequence
from dataclasses import replace

from asynctasq.drivers import Delivery, Outcome, Settlement
from asynctasq.drivers.memory import MemoryDriver
from asynctasq.testing.contract import AbandonedContract
from asynctasq.testing.faults.registry import caught_by


class _Tells(MemoryDriver):
    """Marks each delivery with the result of `tell`."""

    def tell(self, delivery: Delivery) -> bool:
        """Whether it is abandoned."""
        raise NotImplementedError

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take messages, and mark them."""
        taken = await super().dequeue(queues, limit=limit, lease=lease, wait=wait)
        return [replace(one, abandoned=self.tell(one)) for one in taken]


@caught_by(AbandonedContract.test_a_lease_that_runs_out_abandons)
class TellsNothingAbandoned(_Tells):
    """It promises to report abandoned messages, and does not."""

    def tell(self, delivery: Delivery) -> bool:
        """Always false."""
        return False


@caught_by(AbandonedContract.test_an_outcome_does_not_abandon)
class TakesARetryForAbandoned(_Tells):
    """It checks only whether this is the first delivery."""

    def tell(self, delivery: Delivery) -> bool:
        """True for every attempt but the first."""
        return delivery.attempt > 1


class _Forgets(MemoryDriver):
    """Changes its mark of what is abandoned when it settles."""

    outcome: Outcome
    mark: bool

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Settle, and mark."""
        lost = await super().settle(settlements)
        for one in settlements:
            if one.outcome is self.outcome:
                entry = self._store._queues[one.delivery.queue].entries[one.delivery.id]  # pyright: ignore[reportPrivateUsage]
                entry.abandoned = self.mark and one.delivery.abandoned
        return lost


@caught_by(AbandonedContract.test_what_is_released_stays_abandoned)
class ForgetsWhatItReleases(_Forgets):
    """It treats a release as an outcome of the attempt."""

    outcome, mark = Outcome.RELEASE, False


@caught_by(AbandonedContract.test_a_retry_is_an_outcome_of_what_was_abandoned)
class NeverForgets(_Forgets):
    """It keeps the mark after a retry."""

    outcome, mark = Outcome.RETRY, True
