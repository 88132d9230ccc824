"""Drivers that settle and extend wrongly."""

from collections.abc import Sequence
from dataclasses import replace

from asynctasq.drivers import Delivery, Outcome, Settlement, State
from asynctasq.drivers.memory import MemoryDriver
from asynctasq.drivers.memory_queue import Entry
from asynctasq.drivers.memory_store import MemoryStore
from asynctasq.testing.contract import ExtendContract, SettleContract
from asynctasq.testing.faults.registry import behaving_as, caught_by


class _Confuses(MemoryDriver):
    """Applies one outcome as another."""

    meant: Outcome
    applied: Outcome

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply the wrong outcome."""
        return await super().settle(
            [
                replace(one, outcome=self.applied) if one.outcome is self.meant else one
                for one in settlements
            ]
        )


@caught_by(SettleContract.test_done_removes_it_for_good)
class TakesDoneForRetry(_Confuses):
    """It runs everything again."""

    meant, applied = Outcome.DONE, Outcome.RETRY


@caught_by(SettleContract.test_a_retry_comes_again_and_its_attempt_counts)
class TakesRetryForDone(_Confuses):
    """It loses failed messages."""

    meant, applied = Outcome.RETRY, Outcome.DONE


@caught_by(SettleContract.test_a_retry_comes_again_and_its_attempt_counts)
class TakesRetryForRelease(_Confuses):
    """It retries without a limit."""

    meant, applied = Outcome.RETRY, Outcome.RELEASE


@caught_by(SettleContract.test_a_release_comes_again_and_its_attempt_does_not_count)
class TakesReleaseForRetry(_Confuses):
    """It counts the attempt of a released message."""

    meant, applied = Outcome.RELEASE, Outcome.RETRY


@caught_by(SettleContract.test_dead_is_kept_byte_for_byte)
class TakesDeadForDone(_Confuses):
    """It deletes dead messages."""

    meant, applied = Outcome.DEAD, Outcome.DONE


@caught_by(SettleContract.test_dead_is_never_delivered_again)
class TakesDeadForRetry(_Confuses):
    """It delivers dead messages again."""

    meant, applied = Outcome.DEAD, Outcome.RETRY


@caught_by(SettleContract.test_with_a_delay_it_comes_again_when_it_is_due)
class GivesBackWithoutADelay(MemoryDriver):
    """It ignores the delay of a retry."""

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes at once."""
        return await super().settle([replace(one, delay=0.0) for one in settlements])


@caught_by(SettleContract.test_outcomes_may_be_mixed_in_one_call)
class FirstOutcomeForAll(MemoryDriver):
    """It reads the outcome of a batch from its first settlement."""

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply the first outcome to all."""
        return await super().settle(
            [replace(one, outcome=settlements[0].outcome) for one in settlements]
        )


@caught_by(SettleContract.test_a_large_batch_is_settled)
class SettlesAHundred(MemoryDriver):
    """It forgets the rest of a large batch."""

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply the first hundred outcomes."""
        return await super().settle(settlements[:100])


class _IgnoresReceipts(MemoryStore):
    def _held(self, delivery: Delivery) -> Entry | None:
        entry = self._queues[delivery.queue].entries.get(delivery.id)
        return entry if entry and entry.receipt else None


@caught_by(SettleContract.test_a_lost_lease_settles_nothing)
class SettlesForAnybody(MemoryDriver):
    """It checks the id, not the receipt."""

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes to any held message."""
        return behaving_as(_IgnoresReceipts, self._store).settle(settlements)


@caught_by(SettleContract.test_settling_returns_what_was_lost)
class HidesWhatSettlingLost(MemoryDriver):
    """It does not report lost leases."""

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes, and report none as lost."""
        await super().settle(settlements)
        return []


@caught_by(SettleContract.test_settling_returns_nothing_but_what_was_lost)
class CallsAWholeBatchLost(MemoryDriver):
    """It reports the whole batch when one lease was lost."""

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes, and report all as lost when one is."""
        lost = await super().settle(settlements)
        return [one.delivery for one in settlements] if lost else []


class _ForgetsAttempts(MemoryStore):
    def _settle(self, settlement: Settlement) -> bool:
        entry = self._held(settlement.delivery)
        if entry and settlement.outcome is Outcome.RELEASE:
            entry.attempt = 1
        return super()._settle(settlement)


@caught_by(SettleContract.test_a_release_takes_back_its_own_attempt_only)
class ReleasesAllAttempts(MemoryDriver):
    """It resets the count of attempts."""

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes, and reset attempts."""
        return behaving_as(_ForgetsAttempts, self._store).settle(settlements)


class _Strict(MemoryStore):
    def _held(self, delivery: Delivery) -> Entry | None:
        entry = super()._held(delivery)
        return entry if entry and entry.state(self._clock()) is State.RUNNING else None


@caught_by(SettleContract.test_a_lease_that_ran_out_but_was_not_taken_over_still_settles)
class RefusesALateSettlement(MemoryDriver):
    """It refuses the outcome of a lease that ran out and was not taken over."""

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes of leases that have not run out."""
        return behaving_as(_Strict, self._store).settle(settlements)


@caught_by(ExtendContract.test_a_lease_that_ran_out_but_was_not_taken_over_still_extends)
class RefusesALateExtension(MemoryDriver):
    """It refuses to extend a lease that ran out and was not taken over."""

    async def extend(self, deliveries: Sequence[Delivery], *, lease: float) -> Sequence[Delivery]:
        """Extend leases that have not run out."""
        return behaving_as(_Strict, self._store).extend(deliveries, lease)


@caught_by(ExtendContract.test_an_extended_lease_keeps_the_message_beyond_its_first_lease)
class ExtendsNothing(MemoryDriver):
    """It reports success and does nothing."""

    async def extend(self, deliveries: Sequence[Delivery], *, lease: float) -> Sequence[Delivery]:
        """Do nothing."""
        return []


@caught_by(ExtendContract.test_an_extended_lease_ends_that_long_from_now)
class AddsLeasesUp(MemoryDriver):
    """It never lets a lease end earlier."""

    async def extend(self, deliveries: Sequence[Delivery], *, lease: float) -> Sequence[Delivery]:
        """Extend by more than asked for."""
        return await super().extend(deliveries, lease=lease + 60)


@caught_by(ExtendContract.test_a_lost_lease_extends_nothing)
class ExtendsForAnybody(MemoryDriver):
    """It checks the id, not the receipt, when it extends."""

    async def extend(self, deliveries: Sequence[Delivery], *, lease: float) -> Sequence[Delivery]:
        """Extend the lease of any held message."""
        return behaving_as(_IgnoresReceipts, self._store).extend(deliveries, lease)


@caught_by(ExtendContract.test_extending_returns_what_was_lost)
class HidesWhatExtendingLost(MemoryDriver):
    """It does not report lost leases when it extends."""

    async def extend(self, deliveries: Sequence[Delivery], *, lease: float) -> Sequence[Delivery]:
        """Extend leases, and report none as lost."""
        await super().extend(deliveries, lease=lease)
        return []


@caught_by(ExtendContract.test_a_large_batch_is_extended)
class ExtendsAHundred(MemoryDriver):
    """It forgets the rest of a large batch."""

    async def extend(self, deliveries: Sequence[Delivery], *, lease: float) -> Sequence[Delivery]:
        """Extend the first hundred."""
        return await super().extend(deliveries[:100], lease=lease)


@caught_by(SettleContract.test_a_lease_that_ran_out_but_was_not_taken_over_still_settles)
class SettlesLaterThanItSays(MemoryDriver):
    """Its `Limits` exclude a late outcome, and it applies one."""

    limits = replace(MemoryDriver.limits, late_settle=False)
