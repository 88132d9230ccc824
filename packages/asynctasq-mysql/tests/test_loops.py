"""A driver belongs to the event loop that it was connected on."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from asynctasq.drivers import Message
from asynctasq_mysql import MySQLDriver

pytestmark = pytest.mark.anyio


@pytest.fixture
def queue() -> str:
    """The name of an unused queue."""
    return f"queue-{uuid4().hex}"


async def elsewhere(call: Callable[[], Any]) -> Any:
    """Return the result of `call` on another event loop, in another thread."""

    async def run() -> Any:
        async with asyncio.timeout(10):
            return await call()

    return await asyncio.to_thread(lambda: asyncio.run(run()))


async def test_a_call_from_another_event_loop_is_refused_and_does_nothing(
    driver: MySQLDriver, queue: str
) -> None:
    await driver.enqueue([Message("first", queue, b"")])
    calls = [
        lambda: driver.enqueue([Message("second", queue, b"")]),
        lambda: driver.dequeue([queue], limit=1, lease=60, wait=5),
        driver.queues,
        driver.connect,
        driver.disconnect,
    ]
    for call in calls:
        with pytest.raises(RuntimeError, match="another event loop") as caught:
            await elsewhere(call)
        assert "\n" not in str(caught.value)
    (taken,) = await driver.dequeue([queue], limit=9, lease=60, wait=0)
    assert (taken.id, taken.attempt) == ("first", 1)


async def test_a_sibling_serves_another_event_loop(driver: MySQLDriver, queue: str) -> None:
    sibling = driver.sibling()

    async def enqueue() -> None:
        await sibling.connect()
        await sibling.enqueue([Message("id", queue, b"")])
        await sibling.disconnect()

    await elsewhere(enqueue)
    (taken,) = await driver.dequeue([queue], limit=9, lease=60, wait=0)
    assert taken.id == "id"


async def test_a_driver_is_free_for_another_event_loop_once_it_is_disconnected(
    settings, queue: str
) -> None:
    driver = MySQLDriver(settings)
    await driver.connect()
    await driver.disconnect()

    async def again() -> None:
        await driver.connect()
        await driver.enqueue([Message("id", queue, b"")])
        await driver.disconnect()

    await elsewhere(again)
    await driver.connect()
    assert len(await driver.dequeue([queue], limit=9, lease=60, wait=0)) == 1
    await driver.disconnect()
