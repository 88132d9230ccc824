"""A server that is restarted under a driver."""

import asyncio

import pytest
from pydantic import SecretStr

from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq.errors import BrokerUnavailable
from asynctasq_postgres import PostgresDriver, PostgresSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
def driver_on_server(server) -> PostgresDriver:
    driver = PostgresDriver(PostgresSettings(postgres_dsn=SecretStr(server.url)))
    asyncio.run(driver.migrate())
    return driver


async def test_a_driver_goes_on_after_a_restart(server, driver_on_server) -> None:
    driver = driver_on_server
    await driver.connect()
    await driver.enqueue([Message(str(number), "queue", b"") for number in range(10)])
    held = await driver.dequeue(["queue"], limit=5, lease=300, wait=0)
    waiting = asyncio.ensure_future(driver.dequeue(["none"], limit=1, lease=30, wait=60))
    await asyncio.sleep(0.2)
    await asyncio.to_thread(server.stop)
    with pytest.raises(BrokerUnavailable):
        await driver.enqueue([Message("none", "queue", b"")])
    with pytest.raises(BrokerUnavailable):
        await waiting
    await asyncio.to_thread(server.start)
    await again(driver.enqueue, [Message("more", "queue", b"")])
    assert list(await driver.settle([Settlement(one, Outcome.DONE) for one in held])) == []
    rest = await driver.dequeue(["queue"], limit=100, lease=30, wait=0)
    assert len(rest) == 6
    waiting = asyncio.ensure_future(driver.dequeue(["later"], limit=1, lease=30, wait=60))
    async with asyncio.timeout(30):
        while not driver.session.listener.listening:
            await asyncio.sleep(0.05)
    await driver.enqueue([Message("1", "later", b"")])
    async with asyncio.timeout(3):
        assert len(await waiting) == 1
    await driver.disconnect()


async def test_nothing_is_lost_in_the_middle_of_batches(server, driver_on_server) -> None:
    driver = driver_on_server
    await driver.connect()
    stored: set[str] = set()
    restarted = asyncio.Event()

    async def produce() -> None:
        number = 0
        while not restarted.is_set():
            ids = [f"message-{number}-{i}" for i in range(50)]
            await again(driver.enqueue, [Message(one, "batches", b"") for one in ids])
            stored.update(ids)
            number += 1

    producing = asyncio.ensure_future(produce())
    done: set[str] = set()

    async def consume() -> None:
        while not (producing.done() and stored <= done):
            held = await again(driver.dequeue, ["batches"], limit=100, lease=2, wait=0.2)
            await again(driver.settle, [Settlement(one, Outcome.DONE) for one in held])
            done.update(one.id for one in held)

    consuming = asyncio.ensure_future(consume())
    for _ in range(2):
        await asyncio.sleep(0.5)
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
    restarted.set()
    async with asyncio.timeout(30):
        await producing
        await consuming
    assert stored
    assert stored <= done
    await driver.disconnect()


async def again(call, *arguments, **options):
    """Call as a worker does: again while the broker is away."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await call(*arguments, **options)
            except BrokerUnavailable:
                await asyncio.sleep(0.05)
