"""The prefetch limit, and handing back messages that no dequeue takes."""

import asyncio

import pytest

from asynctasq.drivers import Message, Outcome, Settlement

pytestmark = pytest.mark.anyio


async def take(driver, queue: str, *, limit: int, count: int) -> list:
    """Dequeue until there are `count`."""
    taken: list = []
    async with asyncio.timeout(20):
        while len(taken) < count:
            taken += await driver.dequeue([queue], limit=limit, lease=60, wait=5)
    return taken


@pytest.fixture
async def drivers(rabbitmq_url, settings, driver_on):
    """A driver that may hold two messages, and a driver that may hold any number."""
    capped = driver_on(rabbitmq_url, rabbitmq_prefetch_count=2)
    free = driver_on(rabbitmq_url)
    await capped.connect()
    await free.connect()
    yield capped, free
    await capped.disconnect()
    await free.disconnect()


async def test_a_prefetch_count_caps_what_is_held(drivers) -> None:
    capped, free = drivers
    await capped.enqueue([Message(str(number), "capped", b"") for number in range(6)])
    held = await take(capped, "capped", limit=10, count=2)
    assert await capped.dequeue(["capped"], limit=10, lease=60, wait=0.3) == []
    assert len(await take(free, "capped", limit=10, count=4)) == 4
    await capped.enqueue([Message("next", "capped", b"")])
    await capped.settle([Settlement(one, Outcome.DONE) for one in held])
    assert [one.id for one in await take(capped, "capped", limit=10, count=1)] == ["next"]


async def test_what_came_and_nobody_took_goes_to_another_with_no_attempt_counted(drivers) -> None:
    _, free = drivers
    waiting = asyncio.ensure_future(free.dequeue(["idle"], limit=50, lease=60, wait=5))
    await asyncio.sleep(0.1)  # it has credit for fifty now
    await free.enqueue([Message("first", "idle", b"")])
    assert [one.id for one in await waiting] == ["first"]
    await free.enqueue([Message(str(number), "idle", b"") for number in range(20)])
    capped, _ = drivers
    taken = []
    for _ in range(10):
        more = await take(capped, "idle", limit=2, count=2)
        await capped.settle([Settlement(one, Outcome.DONE) for one in more])
        taken += more
    assert sorted(one.id for one in taken) == sorted(str(number) for number in range(20))
    assert {one.attempt for one in taken} == {1}
