"""The promises of `BaseDriver.settle`."""

import asyncio
import time

import pytest

from asynctasq.drivers import BaseDriver, Inspector, Outcome, Settlement
from asynctasq.testing.contract.base import Contract, ids, message, needs, settlements

AGAIN = (Outcome.RETRY, Outcome.RELEASE)


class SettleContract(Contract):
    """An outcome is applied while its lease is held, and changes nothing when that is lost."""

    async def test_done_removes_it_for_good(
        self, driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        held = await self.hold(driver, queue, lease=short_lease)
        assert list(await driver.settle(settlements(held, Outcome.DONE))) == []
        await self.nothing_comes(driver, queue, within=short_lease * 1.5)

    async def test_dead_is_never_delivered_again(
        self, driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        held = await self.hold(driver, queue, lease=short_lease)
        assert list(await driver.settle(settlements(held, Outcome.DEAD, note="why"))) == []
        await self.nothing_comes(driver, queue, within=short_lease * 1.5)

    async def test_dead_is_kept_byte_for_byte(self, driver: BaseDriver, queue: str) -> None:
        if not isinstance(driver, Inspector):
            pytest.skip("the driver is no Inspector: nobody can look")
        stored = message(queue, bytes(range(256)))
        await driver.enqueue([stored])
        taken = await self.take(driver, queue)
        await driver.settle([Settlement(taken, Outcome.DEAD, note="naïve 'reason'\n")])
        (found,) = await driver.find(queue, [stored.id])
        assert (found.body, found.note) == (stored.body, "naïve 'reason'\n")

    async def test_a_retry_comes_again_and_its_attempt_counts(
        self, driver: BaseDriver, queue: str
    ) -> None:
        (held,) = await self.hold(driver, queue)
        for attempt in (2, 3):
            assert list(await driver.settle(settlements([held], Outcome.RETRY))) == []
            held = await self.take(driver, queue)
            assert (held.attempt, held.body) == (attempt, b"0")

    async def test_a_release_comes_again_and_its_attempt_does_not_count(
        self, driver: BaseDriver, queue: str
    ) -> None:
        needs(driver, "release_keeps_attempt")
        (held,) = await self.hold(driver, queue)
        for _ in range(2):
            assert list(await driver.settle(settlements([held], Outcome.RELEASE))) == []
            held = await self.take(driver, queue)
            assert (held.attempt, held.body) == (1, b"0")

    async def test_a_release_takes_back_its_own_attempt_only(
        self, driver: BaseDriver, queue: str
    ) -> None:
        needs(driver, "release_keeps_attempt")
        (held,) = await self.hold(driver, queue)
        await driver.settle(settlements([held], Outcome.RETRY))
        second = await self.take(driver, queue)
        await driver.settle(settlements([second], Outcome.RELEASE))
        assert (await self.take(driver, queue)).attempt == 2

    @pytest.mark.parametrize("outcome", AGAIN)
    async def test_without_a_delay_it_comes_again_at_once(
        self, driver: BaseDriver, queue: str, outcome: Outcome
    ) -> None:
        held = await self.hold(driver, queue)
        started = time.monotonic()
        await driver.settle(settlements(held, outcome))
        await self.take(driver, queue)
        assert self.prompt(started)

    @pytest.mark.parametrize("outcome", AGAIN)
    async def test_with_a_delay_it_comes_again_when_it_is_due(
        self, driver: BaseDriver, queue: str, outcome: Outcome
    ) -> None:
        held = await self.hold(driver, queue)
        started = time.monotonic()
        await driver.settle(settlements(held, outcome, delay=0.4))
        await self.take(driver, queue)
        assert time.monotonic() - started >= 0.39

    @pytest.mark.parametrize("outcome", AGAIN)
    async def test_a_delay_may_outlast_the_lease(
        self, driver: BaseDriver, queue: str, short_lease: float, outcome: Outcome
    ) -> None:
        held = await self.hold(driver, queue, lease=short_lease)
        await driver.settle(settlements(held, outcome, delay=60))
        await self.nothing_comes(driver, queue, within=short_lease * 1.5)

    async def test_outcomes_may_be_mixed_in_one_call(
        self, driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        done, retried, released, dead, later = await self.hold(
            driver, queue, count=5, lease=short_lease
        )
        mixed = [
            Settlement(done, Outcome.DONE),
            Settlement(retried, Outcome.RETRY),
            Settlement(released, Outcome.RELEASE),
            Settlement(dead, Outcome.DEAD, note="why"),
            Settlement(later, Outcome.RETRY, delay=60),
        ]
        assert list(await driver.settle(mixed)) == []
        again = {one.id: one.attempt for one in await self.drain(driver, queue, count=2)}
        assert again.keys() == {retried.id, released.id}
        assert again[retried.id] == 2
        await self.nothing_comes(driver, queue, within=short_lease * 1.5)

    @pytest.mark.parametrize("outcome", Outcome)
    async def test_a_lost_lease_settles_nothing(
        self, driver: BaseDriver, queue: str, short_lease: float, outcome: Outcome
    ) -> None:
        lost, holder = await self.lose(driver, queue, lease=short_lease)
        await driver.settle(settlements([lost], outcome))
        await self.nothing_comes(driver, queue, within=0.1)
        assert list(await driver.settle(settlements([holder], Outcome.RETRY))) == []
        assert (await self.take(driver, queue)).attempt == 3

    @pytest.mark.parametrize("outcome", Outcome)
    async def test_settling_returns_what_was_lost(
        self, driver: BaseDriver, queue: str, short_lease: float, outcome: Outcome
    ) -> None:
        needs(driver, "reports_lost_leases")
        lost, _ = await self.lose(driver, queue, lease=short_lease)
        assert list(await driver.settle(settlements([lost], outcome))) == [lost]

    async def test_settling_returns_nothing_but_what_was_lost(
        self, driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        needs(driver, "reports_lost_leases")
        lost, holder = await self.lose(driver, queue, lease=short_lease)
        held = await self.hold(driver, queue, count=2)
        batch = settlements([held[0], lost, holder, held[1]], Outcome.DONE)
        assert list(await driver.settle(batch)) == [lost]

    @pytest.mark.parametrize("outcome", Outcome)
    @pytest.mark.parametrize("again", Outcome)
    async def test_settling_twice_changes_nothing_the_second_time(
        self, driver: BaseDriver, queue: str, outcome: Outcome, again: Outcome
    ) -> None:
        needs(driver, "reports_lost_leases")
        held = await self.hold(driver, queue)
        await driver.settle(settlements(held, outcome))
        assert list(await driver.settle(settlements(held, again))) == held
        if outcome in AGAIN:
            assert ids(await self.drain(driver, queue)) == ids(held)
        await self.nothing_comes(driver, queue)

    @pytest.mark.parametrize("outcome", Outcome)
    async def test_a_lease_that_ran_out_but_was_not_taken_over_still_settles(
        self, driver: BaseDriver, queue: str, short_lease: float, outcome: Outcome
    ) -> None:
        held = await self.hold(driver, queue, lease=short_lease)
        await asyncio.sleep(short_lease * 1.3)
        lost = await driver.settle(settlements(held, outcome, delay=60))
        if driver.limits.late_settle:
            assert list(lost) == []
            await self.nothing_comes(driver, queue, within=0.1)
        else:
            assert list(lost) == held
            assert ids(await self.drain(driver, queue)) == ids(held)

    async def test_another_driver_may_settle(
        self, driver: BaseDriver, other_driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        held = await self.hold(driver, queue, lease=short_lease)
        assert list(await other_driver.settle(settlements(held, Outcome.DONE))) == []
        await self.nothing_comes(driver, queue, within=short_lease * 1.5)

    async def test_one_call_may_settle_several_queues(
        self, driver: BaseDriver, queue: str, other_queue: str, short_lease: float
    ) -> None:
        held = await self.hold(driver, queue, lease=short_lease)
        held += await self.hold(driver, other_queue, lease=short_lease)
        assert list(await driver.settle(settlements(held, Outcome.DONE))) == []
        await self.nothing_comes(driver, queue, other_queue, within=short_lease * 1.5)

    async def test_settling_nothing_loses_nothing(self, driver: BaseDriver) -> None:
        assert list(await driver.settle([])) == []

    async def test_a_large_batch_is_settled(self, driver: BaseDriver, queue: str) -> None:
        held = await self.hold(driver, queue, count=self.large)
        outcomes = [*Outcome] * (self.large // len(Outcome))
        batch = [Settlement(one, outcome) for one, outcome in zip(held, outcomes, strict=True)]
        assert list(await driver.settle(batch)) == []
        again = await self.drain(driver, queue, count=self.large // 2)
        expected = {item.delivery.id for item in batch if item.outcome in AGAIN}
        assert set(ids(again)) == expected
        await self.nothing_comes(driver, queue)
