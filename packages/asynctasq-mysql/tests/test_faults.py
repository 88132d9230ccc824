"""Calls while the server stops and starts again."""

import asyncio

import pytest

from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq.errors import BrokerUnavailable

pytestmark = pytest.mark.anyio


async def insist(call):
    """Return the result of a call that is retried while the broker is down."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await call()
            except BrokerUnavailable:
                await asyncio.sleep(0.05)


async def test_a_restart_in_the_middle_of_a_wait(on_server, server) -> None:
    driver, other = await on_server(), await on_server()
    waiting = asyncio.ensure_future(
        insist(lambda: driver.dequeue(["queue"], limit=1, lease=30, wait=60))
    )
    await asyncio.sleep(0.1)
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    await insist(lambda: other.enqueue([Message("id", "queue", b"")]))
    async with asyncio.timeout(10):
        assert [delivery.id for delivery in await waiting] == ["id"]


async def test_a_killed_server_loses_nothing_in_the_middle_of_batches(on_server, server) -> None:
    producer, consumer = await on_server(), await on_server()
    sent = [Message(str(number), "queue", b"x" * 100) for number in range(6000)]
    done: set[str] = set()

    async def produce() -> None:
        for start in range(0, len(sent), 300):
            batch = sent[start : start + 300]
            await insist(lambda batch=batch: producer.enqueue(batch))

    async def consume() -> None:
        while len(done) < len(sent):
            held = await insist(lambda: consumer.dequeue(["queue"], limit=100, lease=1, wait=1))
            settlements = [Settlement(one, Outcome.DONE) for one in held]
            await insist(lambda settlements=settlements: consumer.settle(settlements))
            done.update(one.id for one in held)

    async with asyncio.timeout(100), asyncio.TaskGroup() as group:
        group.create_task(produce())
        group.create_task(consume())
        for _ in range(2):
            await asyncio.sleep(0.2)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
    assert done == {one.id for one in sent}
    while left := await insist(lambda: consumer.dequeue(["queue"], limit=99, lease=60, wait=2)):
        assert {one.id for one in left} <= done  # enqueued again after the answer was lost
        await consumer.settle([Settlement(one, Outcome.DONE) for one in left])
    assert list(await consumer.queues()) == []


async def test_a_stop_between_dequeue_and_settle(on_server, server) -> None:
    driver = await on_server()
    await driver.enqueue([Message(str(number), "queue", b"") for number in range(10)])
    held = await driver.dequeue(["queue"], limit=10, lease=60, wait=0)
    await asyncio.to_thread(server.stop)
    settlements = [Settlement(delivery, Outcome.DONE) for delivery in held]
    with pytest.raises(BrokerUnavailable):
        await driver.settle(settlements)
    await asyncio.to_thread(server.start)
    assert await insist(lambda: driver.settle(settlements)) == []
    assert await driver.queues() == []


async def test_a_stale_connection_is_replaced_without_an_error(on_server, server) -> None:
    driver = await on_server()
    await driver.enqueue([Message("id", "queue", b"")])
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    (held,) = await driver.dequeue(["queue"], limit=1, lease=60, wait=0)
    assert await driver.settle([Settlement(held, Outcome.DONE)]) == []


async def test_connections_that_are_killed_lose_no_message(on_server, server) -> None:
    driver, other = await on_server(), await on_server()
    taken: set[str] = set()
    for number in range(10):
        waiting = asyncio.ensure_future(
            insist(lambda: driver.dequeue(["queue"], limit=1, lease=30, wait=30))
        )
        await asyncio.sleep(0.02)
        mine = server.ask("SELECT CONNECTION_ID()")
        for (connection,) in server.ask(
            "SELECT id FROM information_schema.processlist WHERE user = 'root'"
            " AND id <> CONNECTION_ID()"
        ):
            if connection not in mine:
                kill(server, connection)
        await insist(lambda number=number: other.enqueue([Message(str(number), "queue", b"")]))
        taken |= {delivery.id for delivery in await waiting}
    assert taken == {str(number) for number in range(10)}


def kill(server, connection: int) -> None:
    # one of them may have ended since it was listed
    server.ask(
        "BEGIN NOT ATOMIC DECLARE CONTINUE HANDLER FOR 1094 BEGIN END;"
        f" KILL CONNECTION {connection}; END"
    )
