"""Delays on a server."""

import asyncio
import time

import pytest
from pamqp import commands

from asynctasq.drivers import Message
from asynctasq_rabbitmq import RabbitMQDriver, RabbitMQSettings
from asynctasq_rabbitmq.ladder import milliseconds, top_level
from asynctasq_rabbitmq.link import Link
from asynctasq_rabbitmq.names import Names

pytestmark = pytest.mark.anyio

HOUR = 3600.0


async def count(settings: RabbitMQSettings, name: str) -> int:
    """Ready messages in one of the broker's queues."""
    link = Link(settings.url(), settings.location(), "asynctasq tests")
    await link.open()
    channel = await link.channel()
    passive = commands.Queue.Declare(queue=name, passive=True)
    reply = await channel.call(passive, commands.Queue.DeclareOk)
    await link.close()
    return reply.message_count or 0


@pytest.fixture
async def driver(settings):
    one = RabbitMQDriver(settings)
    await one.connect()
    yield one
    await one.disconnect()


@pytest.mark.parametrize("delay", [0.05, 0.4, 1.023])
async def test_a_delay_is_exact_to_some_milliseconds_per_level(driver, delay: float) -> None:
    await driver.enqueue([Message("early", f"exact-{delay}", b"", 0.001)])
    await driver.dequeue([f"exact-{delay}"], limit=1, lease=30, wait=10)
    started = time.monotonic()
    await driver.enqueue([Message("id", f"exact-{delay}", b"", delay)])
    assert len(await driver.dequeue([f"exact-{delay}"], limit=1, lease=30, wait=10)) == 1
    assert delay - 0.01 <= time.monotonic() - started <= delay + 0.5


async def test_a_long_delay_waits_where_its_highest_bit_is(driver, settings) -> None:
    await driver.enqueue([Message(str(number), "hour", b"", HOUR) for number in range(3)])
    level = Names(settings.rabbitmq_exchange_name).level(top_level(milliseconds(HOUR)))
    async with asyncio.timeout(10):
        while await count(settings, level) < 3:
            await asyncio.sleep(0.05)


async def test_a_driver_that_never_declared_a_delay_takes_delayed_messages(
    driver, settings
) -> None:
    await driver.enqueue([Message("id", "fresh", b"", 0.3)])
    await driver.disconnect()
    fresh = RabbitMQDriver(settings)
    await fresh.connect()
    (taken,) = await fresh.dequeue(["fresh"], limit=1, lease=30, wait=10)
    assert (taken.id, taken.attempt) == ("id", 1)
    await fresh.disconnect()


async def test_a_ladder_with_a_missing_level_is_mended(driver, settings) -> None:
    await driver.enqueue([Message("before", "mended", b"", 0.001)])
    level = Names(settings.rabbitmq_exchange_name).level(8)
    link = Link(settings.url(), settings.location(), "asynctasq tests")
    await link.open()
    channel = await link.channel()
    await channel.call(commands.Queue.Delete(queue=level), commands.Queue.DeleteOk)
    await link.close()
    await driver.enqueue([Message("after", "mended", b"", 0.256)])
    taken: list[str] = []
    while len(taken) < 2:
        batch = await driver.dequeue(["mended"], limit=2, lease=30, wait=10)
        assert batch
        taken += [one.id for one in batch]
    assert sorted(taken) == ["after", "before"]
