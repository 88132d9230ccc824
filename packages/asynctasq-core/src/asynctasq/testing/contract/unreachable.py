"""The promises of `BaseDriver.connect` when the broker does not answer."""

import asyncio

import pytest

from asynctasq.drivers import Diagnostics
from asynctasq.errors import BrokerUnavailable
from asynctasq.testing.contract.base import Contract, NewDriver


class UnreachableContract(Contract):
    """Here `new_driver` makes drivers of a broker that does not answer."""

    async def test_connecting_fails_within_seconds(self, new_driver: NewDriver) -> None:
        driver = new_driver()
        async with asyncio.timeout(self.patience):
            with pytest.raises(BrokerUnavailable):
                await driver.connect()
        await driver.disconnect()

    async def test_the_error_is_one_line(self, new_driver: NewDriver) -> None:
        driver = new_driver()
        with pytest.raises(BrokerUnavailable) as caught:
            await driver.connect()
        assert len(str(caught.value).splitlines()) == 1
        await driver.disconnect()

    async def test_it_leaves_no_task_behind(self, new_driver: NewDriver) -> None:
        tasks = asyncio.all_tasks()
        driver = new_driver()
        with pytest.raises(BrokerUnavailable):
            await driver.connect()
        await driver.disconnect()
        assert asyncio.all_tasks() - tasks == set()

    async def test_there_is_nothing_to_diagnose(self, new_driver: NewDriver) -> None:
        tasks = asyncio.all_tasks()
        driver = new_driver()
        if not isinstance(driver, Diagnostics):
            pytest.skip("the driver lacks the Diagnostics capability")
        async with asyncio.timeout(self.patience):
            with pytest.raises(BrokerUnavailable):
                await driver.diagnose()
        assert asyncio.all_tasks() - tasks == set()
