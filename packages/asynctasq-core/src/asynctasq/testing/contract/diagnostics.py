"""The promises of the `Diagnostics` capability, for a broker without problems."""

import asyncio

import pytest

from asynctasq.drivers import BaseDriver, Control, Diagnostics, Inspector, Level
from asynctasq.testing.contract.base import LONG, Contract, NewDriver, message


class DiagnosticsContract(Contract):
    """A diagnosis gives advice, and changes nothing."""

    @pytest.fixture
    def looking(self, new_driver: NewDriver) -> Diagnostics:
        """A driver that is not connected, as `Diagnostics`."""
        driver = new_driver()
        assert isinstance(driver, Diagnostics)
        return driver

    async def test_a_broker_in_order_has_no_problem(self, looking: Diagnostics) -> None:
        found = await looking.diagnose()
        assert len(found) > 0
        assert [one for one in found if one.level is Level.PROBLEM] == []

    async def test_a_finding_says_what_was_found(self, looking: Diagnostics) -> None:
        for one in await looking.diagnose():
            assert one.name.strip()
            assert one.value.strip()

    async def test_no_two_findings_have_the_same_name(self, looking: Diagnostics) -> None:
        names = [one.name for one in await looking.diagnose()]
        assert sorted(set(names)) == sorted(names)

    async def test_what_is_not_in_order_has_one_line_of_advice(self, looking: Diagnostics) -> None:
        for one in await looking.diagnose():
            assert len(one.advice.splitlines()) == (one.level is not Level.OK), one

    async def test_paused_queues_are_named(
        self, driver: BaseDriver, looking: Diagnostics, queue: str
    ) -> None:
        if not isinstance(driver, Control):
            pytest.skip("it cannot pause queues")
        await driver.enqueue([message(queue)])
        await driver.pause(queue)
        (found,) = [one for one in await looking.diagnose() if one.name == "paused queues"]
        assert found.level is Level.WARNING
        assert queue in found.value
        assert queue in found.advice
        await driver.resume(queue)
        (found,) = [one for one in await looking.diagnose() if one.name == "paused queues"]
        assert queue not in found.value

    async def test_looking_leaves_no_task_behind(self, looking: Diagnostics) -> None:
        tasks = asyncio.all_tasks()
        await looking.diagnose()
        assert asyncio.all_tasks() - tasks == set()

    async def test_a_connected_driver_looks_and_works_on(
        self, driver: BaseDriver, queue: str
    ) -> None:
        assert isinstance(driver, Diagnostics)
        assert len(await driver.diagnose()) > 0
        await driver.enqueue([message(queue)])
        await self.take(driver, queue)

    async def test_looking_changes_nothing_that_is_stored(
        self, driver: BaseDriver, other_driver: BaseDriver, queue: str
    ) -> None:
        if not isinstance(driver, Inspector):
            pytest.skip("its queues cannot be counted")
        assert isinstance(other_driver, Diagnostics)
        await driver.enqueue([message(queue), message(queue), message(queue, delay=LONG)])
        held = await self.take(driver, queue)
        before = await driver.counts([queue])
        await other_driver.diagnose()
        after = await driver.counts([queue])
        assert [_states(one) for one in after] == [_states(one) for one in before]
        assert await driver.extend([held], lease=LONG) == []


def _states(counts: object) -> list[object]:
    """The counts without the age."""
    return [getattr(counts, state) for state in ("ready", "delayed", "running", "dead")]
