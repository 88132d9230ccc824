"""What waiting costs, and how soon it ends."""

import asyncio
import time

import pytest

from asynctasq.drivers import Message
from asynctasq.errors import BrokerUnavailable
from asynctasq_postgres.notify import BURST, NotifyThrottle

pytestmark = pytest.mark.anyio


@pytest.fixture
async def counted(driver_with):
    """A connected driver, and a list that its statements are added to."""
    driver = driver_with()
    await driver.connect()
    statements: list[str] = []
    fetch = driver.session._fetch

    async def counting(statement, arguments):
        statements.append(statement)
        return await fetch(statement, arguments)

    driver.session._fetch = counting
    yield driver, statements
    await driver.disconnect()


async def listening(driver) -> None:
    async with asyncio.timeout(10):
        while not driver.session.listener.listening:
            await asyncio.sleep(0.01)


async def test_an_idle_worker_asks_less_than_twice_a_second(counted, queue) -> None:
    driver, statements = counted
    await driver.enqueue([Message("late", queue, b"", 3600)])
    first = asyncio.ensure_future(driver.dequeue([queue], limit=1, lease=30, wait=0.5))
    await listening(driver)
    await first
    statements.clear()
    started = time.monotonic()
    for _ in range(2):
        assert list(await driver.dequeue(["other", queue], limit=10, lease=30, wait=2)) == []
    assert time.monotonic() - started >= 4
    assert len(statements) <= 4


async def test_without_notifications_it_looks_at_intervals(driver_with, driver, queue) -> None:
    worker = driver_with(postgres_notify=False, postgres_poll_interval=0.2)
    await worker.connect()
    waiting = asyncio.ensure_future(worker.dequeue([queue], limit=1, lease=30, wait=20))
    await asyncio.sleep(0.1)
    started = time.monotonic()
    await driver.enqueue([Message("1", queue, b"")])
    assert len(await waiting) == 1
    assert time.monotonic() - started < 2
    assert worker.session.listener._task is None
    await worker.disconnect()


async def test_a_message_of_the_same_driver_needs_no_notification(driver_with, queue) -> None:
    driver = driver_with(postgres_notify=False, postgres_poll_interval=60)
    await driver.connect()
    waiting = asyncio.ensure_future(driver.dequeue([queue], limit=1, lease=30, wait=20))
    await asyncio.sleep(0.1)
    started = time.monotonic()
    await driver.enqueue([Message("1", queue, b"", 0.2)])
    assert len(await waiting) == 1
    assert time.monotonic() - started < 5
    await driver.disconnect()


@pytest.mark.flakiest
async def test_a_waiter_hears_of_messages_after_its_connection_was_lost(
    driver, driver_with, connect, queue
) -> None:
    worker = driver_with(postgres_poll_interval=60)
    await worker.connect()
    waiting = asyncio.ensure_future(worker.dequeue([queue], limit=1, lease=30, wait=60))
    await listening(worker)
    admin = await connect()
    killed = await admin.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE $1",
        f'LISTEN "{worker.session.names.channel}"%',
    )
    await admin.close()
    assert killed
    async with asyncio.timeout(10):
        while worker.session.listener.listening:
            await asyncio.sleep(0.005)
    await listening(worker)
    started = time.monotonic()
    await driver.enqueue([Message("1", queue, b"")])
    assert len(await waiting) == 1
    assert time.monotonic() - started < 3
    await worker.disconnect()


@pytest.mark.flakiest
async def test_a_burst_of_messages_is_told_of_in_few_notifications(
    driver, driver_with, connect, queue
) -> None:
    heard: list[str] = []
    listener = await connect()
    channel = driver.session.names.channel
    await listener.add_listener(channel, lambda *notice: heard.append(notice[3]))
    worker = driver_with(postgres_poll_interval=60)
    await worker.connect()
    count = 400
    for number in range(count):
        await driver.enqueue([Message(str(number), queue, b"")])
    async with asyncio.timeout(30):
        taken = 0
        while taken < count:
            taken += len(await worker.dequeue([queue], limit=100, lease=30, wait=20))
    await driver.session.throttle.close()
    await asyncio.sleep(0.1)
    mine = [payload for payload in heard if payload.endswith(queue)]
    assert BURST <= len(mine) < count
    await listener.close()
    await worker.disconnect()


async def test_what_is_told_late_is_told_for_all() -> None:
    told: list[dict[str, float]] = []

    async def tell(news) -> None:
        told.append(dict(news))
        if len(told) == 1:
            raise BrokerUnavailable

    news = NotifyThrottle(tell)
    while news.at_once([("queue", 0.0)]):
        pass
    assert not news.at_once([("far", 3600.0)])
    news.soon([("queue", 0.0), ("other", 30.0), ("far", 3600.0)])
    news.soon([("other", 10.0)])
    await news.close()
    (first,) = told
    assert first["queue"] == 0.0
    assert 9 < first["other"] <= 10
    assert "far" not in first
    news.soon([("queue", 0.0)])  # a failure is no end
    await news.close()
    assert len(told) == 2


async def test_disconnecting_tells_what_is_left(driver_with, driver, queue) -> None:
    producer = driver_with()
    await producer.connect()
    waiting = asyncio.ensure_future(driver.dequeue([queue], limit=1, lease=30, wait=30))
    await listening(driver)
    while producer.session.throttle.at_once([(queue, 0.0)]):
        pass
    started = time.monotonic()
    await producer.enqueue([Message("1", queue, b"")])
    await producer.disconnect()
    assert len(await waiting) == 1
    assert time.monotonic() - started < 3
