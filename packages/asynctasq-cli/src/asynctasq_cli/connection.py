"""A connected driver for commands that look into the broker, and what it is able to do."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from asynctasq import Config, DriverFactory, run
from asynctasq.drivers import BaseDriver, Control, Inspector, QueueStats, Workers
from asynctasq.errors import BrokerRejected, ConfigError

T = TypeVar("T")

#: Where to turn, by driver, when a broker does not let us look or act.
_INSTEAD = {
    "rabbitmq": "use RabbitMQ's management UI, or stop its workers",
    "sqs": "use the AWS console, or stop its workers",
}


_SILENCE = logging.NullHandler()


@asynccontextmanager
async def connected(config: Config) -> AsyncGenerator[BaseDriver, None]:
    """The configured driver, connected and in the end disconnected.

    Errors are the command's to tell: what libraries log is not printed, unless it was asked for.
    """
    logging.getLogger().addHandler(_SILENCE)
    driver = DriverFactory.create_from_config(config)
    await driver.connect()
    try:
        yield driver
    finally:
        await driver.disconnect()


def with_driver(config: Config, work: Callable[[BaseDriver], Awaitable[T]]) -> T:
    """What `work` returns for the connected driver."""

    async def main() -> T:
        async with connected(config) as driver:
            return await work(driver)

    return run(main())


def inspector(driver: BaseDriver, config: Config) -> Inspector:
    """The driver's ability to look into queues; raises `ConfigError` if it has none."""
    if not isinstance(driver, Inspector):
        raise cannot(config, "look into its queues")
    return driver


def control(driver: BaseDriver, config: Config, what: str) -> Control:
    """The driver's ability to pause and revoke; raises `ConfigError` if it has none."""
    if not isinstance(driver, Control):
        raise cannot(config, what)
    return driver


def registry(driver: BaseDriver, config: Config) -> Workers:
    """The driver's registry of workers; raises `ConfigError` if it has none."""
    if not isinstance(driver, Workers):
        raise cannot(config, "tell which workers there are")
    return driver


def cannot(config: Config, what: str) -> ConfigError:
    """The error for what this broker is not able to do; it says what to use instead."""
    instead = _INSTEAD.get(config.driver, "stop its workers")
    return ConfigError(f"the {config.driver} driver cannot {what}; {instead}")


async def chosen_queues(looking: Inspector, queue: str | None) -> list[QueueStats]:
    """The queues that hold a message, or the one that was named."""
    if queue is not None:
        return list(await looking.counts([queue]))
    try:
        return list(await looking.queues())
    except BrokerRejected as error:
        raise BrokerRejected(f"{error}, or name one with --queue") from error
