"""Runs workers in tests, and reads the messages they left."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from asynctasq import BrokerUnavailable, TaskCall, Worker, dispatch_many
from asynctasq.drivers import BaseDriver, Delivery, Settlement, State

NewDriver = Callable[[], BaseDriver]


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def work(new_driver: NewDriver, *calls: TaskCall[Any], **options: Any) -> list[Any]:
    """Run calls to their end, and return the dead messages."""
    await dispatch_many(calls)
    before = asyncio.all_tasks()
    await Worker(new_driver(), **{"burst": True, **options}).start()
    assert asyncio.all_tasks() - before == set()
    return await look(new_driver)


async def look(new_driver: NewDriver, state: State = State.DEAD) -> list[Any]:
    driver: Any = new_driver()
    await driver.connect()
    found = list(await driver.browse("default", state, limit=100))
    await driver.disconnect()
    return found


async def until_settled(new_driver: NewDriver) -> None:
    """Wait until no message waits or runs."""
    driver: Any = new_driver()
    await driver.connect()
    async with asyncio.timeout(20):
        while (await driver.counts(["default"]))[0].unfinished:
            await asyncio.sleep(0.01)
    await driver.disconnect()


class Wrapped:
    """A driver that does something else for a while."""

    def __init__(self, driver: BaseDriver) -> None:
        self._driver = driver
        self.failures = {"dequeue": 0, "settle": 0, "extend": 0}
        self.error: Exception = BrokerUnavailable("away")
        self.loses_leases = False
        self.settled: list[Settlement] = []
        self.extended = 0
        self.siblings: list[Wrapped] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def sibling(self) -> "Wrapped":
        sibling = Wrapped(self._driver.sibling())
        sibling.loses_leases = self.loses_leases
        sibling.failures = self.failures
        self.siblings.append(sibling)
        return sibling

    async def dequeue(self, queues: Sequence[str], **options: Any) -> Sequence[Delivery]:
        self._fail("dequeue")
        return await self._driver.dequeue(queues, **options)

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        self._fail("settle")
        self.settled += settlements
        return await self._driver.settle(settlements)

    async def extend(self, deliveries: Sequence[Delivery], *, lease: float) -> Sequence[Delivery]:
        self._fail("extend")
        self.extended += 1
        if self.loses_leases:
            return deliveries
        return await self._driver.extend(deliveries, lease=lease)

    def _fail(self, name: str) -> None:
        if self.failures[name]:
            self.failures[name] -= 1
            raise self.error
