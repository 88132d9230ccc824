"""Connects the configured driver for a command, and checks its capabilities."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from asynctasq import Config, DriverFactory, run
from asynctasq.drivers import BaseDriver, Control, Inspector, QueueStats, Workers
from asynctasq.errors import BrokerRejected, ConfigError

T = TypeVar("T")

#: Alternatives by driver, shown when it lacks a capability.
_INSTEAD = {
    "rabbitmq": "use RabbitMQ's management UI, or stop its workers",
    "sqs": "use the AWS console, or stop its workers",
}


_SILENCE = logging.NullHandler()


@asynccontextmanager
async def connected(config: Config) -> AsyncGenerator[BaseDriver, None]:
    """Connect the configured driver, and disconnect it at the end.

    The command prints errors itself: log lines of libraries are dropped unless logging is set up.
    """
    logging.getLogger().addHandler(_SILENCE)
    driver = DriverFactory.create_from_config(config)
    await driver.connect()
    try:
        yield driver
    finally:
        await driver.disconnect()


def with_driver(config: Config, work: Callable[[BaseDriver], Awaitable[T]]) -> T:
    """Connect, and return the result of `work`."""

    async def main() -> T:
        async with connected(config) as driver:
            return await work(driver)

    return run(main())


def require_inspector(driver: BaseDriver, config: Config) -> Inspector:
    """Return the driver as an `Inspector`; raises `ConfigError` if it is none."""
    if not isinstance(driver, Inspector):
        raise cannot(config, "inspect its queues")
    return driver


def require_control(driver: BaseDriver, config: Config, action: str) -> Control:
    """Return the driver as a `Control`; raises `ConfigError` for `action` if it is none."""
    if not isinstance(driver, Control):
        raise cannot(config, action)
    return driver


def require_workers(driver: BaseDriver, config: Config) -> Workers:
    """Return the driver as `Workers`; raises `ConfigError` if it is none."""
    if not isinstance(driver, Workers):
        raise cannot(config, "list workers")
    return driver


def cannot(config: Config, action: str) -> ConfigError:
    """Return the error for a missing capability; it names an alternative."""
    instead = _INSTEAD.get(config.driver, "stop its workers")
    return ConfigError(f"the {config.driver} driver cannot {action}; {instead}")


async def chosen_queues(inspector: Inspector, queue: str | None) -> list[QueueStats]:
    """Return the counts of the named queue, or of all queues that hold a message."""
    if queue is not None:
        return list(await inspector.counts([queue]))
    try:
        return list(await inspector.queues())
    except BrokerRejected as error:
        raise BrokerRejected(f"{error}, or name one with --queue") from error
