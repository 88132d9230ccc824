"""A connected driver for commands that look into the broker."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from asynctasq import BaseDriver, Config, DriverFactory
from asynctasq.drivers import Inspector, QueueStats
from asynctasq.errors import ConfigError


@asynccontextmanager
async def connected(config: Config) -> AsyncGenerator[BaseDriver, None]:
    """The configured driver, connected and in the end disconnected."""
    driver = DriverFactory.create_from_config(config)
    await driver.connect()
    try:
        yield driver
    finally:
        await driver.disconnect()


def inspector(driver: BaseDriver, config: Config) -> Inspector:
    """The driver's ability to look into queues; raises `ConfigError` if it has none."""
    if not isinstance(driver, Inspector):
        raise ConfigError(f"the {config.driver} driver cannot look into its queues")
    return driver


async def chosen_queues(looking: Inspector, queue: str | None) -> list[QueueStats]:
    """The queues that hold a message, or the one that was named."""
    return list(await (looking.queues() if queue is None else looking.counts([queue])))
