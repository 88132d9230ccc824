"""Shares one connected driver between concurrent requests."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from asynctasq import Config, DriverFactory
from asynctasq.drivers import BaseDriver


class Connection:
    """Connects for the first concurrent user, and disconnects after the last.

    So a mounted dashboard needs no startup or shutdown, and costs the broker nothing while unused.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock = asyncio.Lock()
        self._driver: BaseDriver | None = None
        self._users = 0

    @asynccontextmanager
    async def use(self) -> AsyncGenerator[BaseDriver, None]:
        """Provide the connected driver; raises the errors of `BaseDriver.connect`."""
        driver = await self._acquire()
        try:
            yield driver
        finally:
            await self._release()

    async def _acquire(self) -> BaseDriver:
        async with self._lock:
            if self._driver is None:
                driver = DriverFactory.create_from_config(self._config)
                await driver.connect()
                self._driver = driver
            self._users += 1
            return self._driver

    async def _release(self) -> None:
        async with self._lock:
            self._users -= 1
            if self._users == 0 and self._driver is not None:
                driver, self._driver = self._driver, None
                await driver.disconnect()
