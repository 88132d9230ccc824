"""The promise of `Delivery.abandoned`: it tells a lost attempt from one that had an outcome."""

import pytest

from asynctasq.drivers import BaseDriver, Delivery, Inspector, Outcome, State
from asynctasq.testing.contract.base import Contract, needs, settlements


class AbandonedContract(Contract):
    """A delivery is abandoned when the attempt before it ended without an outcome."""

    async def abandon(self, driver: BaseDriver, queue: str, *, lease: float) -> Delivery:
        """Enqueue a message, let its first lease run out, and take it again."""
        needs(driver, "tells_abandoned")
        _, again = await self.lose(driver, queue, lease=lease)
        assert again.abandoned
        return again

    async def settle_and_take(
        self, driver: BaseDriver, queue: str, held: Delivery, outcome: Outcome
    ) -> Delivery:
        """Settle a delivery, and take its message again."""
        assert list(await driver.settle(settlements([held], outcome))) == []
        return await self.take(driver, queue)

    async def test_a_first_delivery_is_not_abandoned(self, driver: BaseDriver, queue: str) -> None:
        (held,) = await self.hold(driver, queue)
        assert not held.abandoned

    async def test_a_lease_that_runs_out_abandons(
        self, driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        await self.abandon(driver, queue, lease=short_lease)

    async def test_it_stays_abandoned_while_leases_run_out(
        self, driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        needs(driver, "tells_abandoned")
        await self.hold(driver, queue, lease=short_lease)
        taken = [await self.take(driver, queue, lease=short_lease) for _ in range(2)]
        assert [one.abandoned for one in taken] == [True, True]

    @pytest.mark.parametrize("outcome", [Outcome.RETRY, Outcome.RELEASE])
    async def test_an_outcome_does_not_abandon(
        self, driver: BaseDriver, queue: str, outcome: Outcome
    ) -> None:
        (held,) = await self.hold(driver, queue)
        assert not (await self.settle_and_take(driver, queue, held, outcome)).abandoned

    async def test_a_retry_is_an_outcome_of_what_was_abandoned(
        self, driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        held = await self.abandon(driver, queue, lease=short_lease)
        assert not (await self.settle_and_take(driver, queue, held, Outcome.RETRY)).abandoned

    async def test_what_is_released_stays_abandoned(
        self, driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        held = await self.abandon(driver, queue, lease=short_lease)
        for _ in range(2):
            held = await self.settle_and_take(driver, queue, held, Outcome.RELEASE)
            assert held.abandoned

    async def test_what_is_requeued_is_not_abandoned(
        self, driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        held = await self.abandon(driver, queue, lease=short_lease)
        await driver.settle(settlements([held], Outcome.DEAD))
        if not isinstance(driver, Inspector) or State.DEAD not in driver.limits.inspects:
            pytest.xfail("the driver requeues nothing")
        assert list(await driver.requeue(queue, [held.id])) == [held.id]
        again = await self.take(driver, queue)
        assert (again.attempt, again.abandoned) == (1, False)
