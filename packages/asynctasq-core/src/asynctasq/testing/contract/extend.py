"""The promises of `BaseDriver.extend`."""

import asyncio
import time

import pytest

from asynctasq.drivers import BaseDriver, Outcome
from asynctasq.testing.contract.base import LONG, Contract, ids, needs, settlements


class ExtendContract(Contract):
    """The holder of a lease decides when it ends."""

    async def test_an_extended_lease_keeps_the_message_beyond_its_first_lease(
        self, driver: BaseDriver, other_driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        held = await self.hold(driver, queue, lease=short_lease)
        assert list(await driver.extend(held, lease=LONG)) == []
        await self.nothing_comes(other_driver, queue, within=short_lease * 1.5)
        assert list(await driver.settle(settlements(held, Outcome.DONE))) == []

    async def test_an_extended_lease_ends_that_long_from_now(
        self, driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        """Also when it would have ended later: leases do not add up."""
        held = await self.hold(driver, queue, lease=LONG)
        started = time.monotonic()
        assert list(await driver.extend(held, lease=short_lease)) == []
        assert (await self.take(driver, queue)).attempt == 2
        assert time.monotonic() - started >= short_lease * 0.95

    async def test_extending_counts_no_attempt(self, driver: BaseDriver, queue: str) -> None:
        held = await self.hold(driver, queue)
        for _ in range(3):
            await driver.extend(held, lease=LONG)
        await driver.settle(settlements(held, Outcome.RETRY))
        assert (await self.take(driver, queue)).attempt == 2

    async def test_a_lost_lease_extends_nothing(
        self, driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        (lost,) = await self.hold(driver, queue, lease=short_lease)
        holder = await self.take(driver, queue, lease=short_lease * 2)
        await driver.extend([lost], lease=LONG)
        again = await self.take(driver, queue)
        assert (again.id, again.attempt) == (holder.id, 3)

    async def test_extending_returns_what_was_lost(
        self, driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        needs(driver, "reports_lost_leases")
        lost, holder = await self.lose(driver, queue, lease=short_lease)
        held = await self.hold(driver, queue)
        assert list(await driver.extend([*held, lost, holder], lease=LONG)) == [lost]

    @pytest.mark.parametrize("outcome", Outcome)
    async def test_extending_returns_what_was_settled(
        self, driver: BaseDriver, queue: str, outcome: Outcome
    ) -> None:
        needs(driver, "reports_lost_leases")
        held = await self.hold(driver, queue)
        await driver.settle(settlements(held, outcome))
        assert list(await driver.extend(held, lease=LONG)) == held
        if outcome in (Outcome.RETRY, Outcome.RELEASE):
            assert ids(await self.drain(driver, queue)) == ids(held)
        await self.nothing_comes(driver, queue)

    async def test_a_lease_that_ran_out_but_was_not_taken_over_still_extends(
        self, driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        held = await self.hold(driver, queue, lease=short_lease)
        await asyncio.sleep(short_lease * 1.3)
        lost = await driver.extend(held, lease=LONG)
        if driver.limits.late_settle:
            assert list(lost) == []
            await self.nothing_comes(driver, queue, within=0.1)
        else:
            assert list(lost) == held
            assert ids(await self.drain(driver, queue)) == ids(held)

    async def test_one_call_may_extend_several_queues(
        self, driver: BaseDriver, queue: str, other_queue: str, short_lease: float
    ) -> None:
        held = await self.hold(driver, queue, lease=short_lease)
        held += await self.hold(driver, other_queue, lease=short_lease)
        assert list(await driver.extend(held, lease=LONG)) == []
        await self.nothing_comes(driver, queue, other_queue, within=short_lease * 1.5)

    async def test_extending_nothing_loses_nothing(self, driver: BaseDriver) -> None:
        assert list(await driver.extend([], lease=LONG)) == []

    async def test_a_large_batch_is_extended(
        self, driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        held = await self.hold(driver, queue, count=self.large)
        assert list(await driver.extend(held, lease=short_lease)) == []
        again = await self.drain(driver, queue, count=self.large)
        assert sorted(ids(again)) == sorted(ids(held))
        assert min(one.attempt for one in again) >= 2
