"""A queue that is full or cannot be declared does not affect other queues."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from pamqp import commands

from asynctasq.drivers import Delivery, Message, Outcome, Settlement, State
from asynctasq.errors import BrokerRejected, BrokerUnavailable
from asynctasq_rabbitmq import RabbitMQDriver
from asynctasq_rabbitmq.names import Names
from asynctasq_rabbitmq.topology import Topology

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


@asynccontextmanager
async def connected(settings):
    driver = RabbitMQDriver(settings)
    await driver.connect()
    yield driver
    await driver.disconnect()


async def declare_bounded(driver, settings, queue: str, length: int) -> None:
    """Declare a queue as the driver does, with a limit on its length."""

    async def declare() -> None:
        topology, link = await driver._session.consuming()
        channel = await link.channel()
        for frame in Topology(link, Names(settings.rabbitmq_exchange_name))._queue(queue):
            if isinstance(frame, commands.Queue.Declare):
                frame.arguments = {**frame.arguments, "x-max-length": length}
            await channel.answer(channel.send(frame))
        topology._known.add(queue)
        await driver._session._connections.publishing()
        driver._session._connections._publisher[1]._known.add(queue)
        await channel.close()

    await driver._session.run(declare)


async def until_full(driver, queue: str) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await driver.enqueue([Message("filler", queue, b"")])
            except BrokerUnavailable:
                return


async def test_a_full_queue_refuses_its_own_outcomes_alone(settings) -> None:
    async with connected(settings) as driver:
        await declare_bounded(driver, settings, "full", 3)
        await driver.enqueue([Message("retried", "full", b"")])
        await driver.enqueue([Message(one, "roomy", b"") for one in ("done", "again")])
        held = [*await driver.dequeue(["full"], limit=1, lease=60, wait=10)]
        while len(held) < 3:
            held += await driver.dequeue(["roomy"], limit=3 - len(held), lease=60, wait=10)
        await until_full(driver, "full")
        by_id = {one.id: one for one in held}
        items = [
            Settlement(by_id["done"], Outcome.DONE),
            Settlement(by_id["retried"], Outcome.RETRY),
            Settlement(by_id["again"], Outcome.RETRY),
        ]
        for _ in range(3):  # an applied outcome is applied once, and reported each time
            with pytest.raises(BrokerUnavailable, match="queue full accepts no more messages"):
                await driver.settle(items)
            assert list(await driver.extend([by_id["retried"]], lease=60)) == []
        (again,) = await driver.dequeue(["roomy"], limit=9, lease=60, wait=10)
        assert (again.id, again.attempt) == ("again", 2)
        assert await driver.dequeue(["roomy"], limit=9, lease=60, wait=0) == []
        assert await driver.purge("full", State.READY) >= 3
        assert list(await driver.settle(items)) == []
        assert list(await driver.settle(items)) == held_of(items)
        (back,) = await driver.dequeue(["full"], limit=9, lease=60, wait=10)
        assert (back.id, back.attempt, back.abandoned) == ("retried", 2, False)
        assert await driver.dequeue(["roomy"], limit=9, lease=60, wait=0) == []


async def test_a_lease_that_ends_at_a_full_queue_comes_back_when_there_is_room(settings) -> None:
    async with connected(settings) as driver:
        await declare_bounded(driver, settings, "tight", 3)
        await driver.enqueue([Message("ends", "tight", b"")])
        (held,) = await driver.dequeue(["tight"], limit=1, lease=2, wait=10)
        await until_full(driver, "tight")
        async with asyncio.timeout(20):
            while not list(await driver.extend([held], lease=0.01)):
                await asyncio.sleep(0.05)
        assert await driver.purge("tight", State.READY) >= 3
        (again,) = await driver.dequeue(["tight"], limit=9, lease=60, wait=10)
        assert (again.id, again.attempt, again.abandoned) == ("ends", 2, True)


async def test_a_queue_that_cannot_be_declared_refuses_its_own_messages_alone(settings) -> None:
    async with connected(settings) as driver:
        await driver.enqueue([Message("dies", "undeclared", b""), Message("lives", "fine", b"")])
        (dies,) = await driver.dequeue(["undeclared"], limit=1, lease=60, wait=10)
        (lives,) = await driver.dequeue(["fine"], limit=1, lease=60, wait=10)
        name = Names(settings.rabbitmq_exchange_name).dead("undeclared")

        async def declare() -> None:
            _, link = await driver._session.consuming()
            channel = await link.channel()
            frame = commands.Queue.Declare(
                queue=name, durable=True, arguments={"x-queue-type": "classic"}
            )
            await channel.call(frame, commands.Queue.DeclareOk)
            await channel.close()

        await driver._session.run(declare)
        items = [Settlement(dies, Outcome.DEAD, note="why"), Settlement(lives, Outcome.RETRY)]
        for _ in range(2):
            with pytest.raises(BrokerRejected, match="with another x-"):
                await driver.settle(items)
        (again,) = await driver.dequeue(["fine"], limit=9, lease=60, wait=10)
        assert (again.id, again.attempt) == ("lives", 2)
        assert await driver.dequeue(["fine"], limit=9, lease=60, wait=0) == []
        assert list(await driver.extend([dies], lease=60)) == []


def held_of(items) -> list[Delivery]:
    return [item.delivery for item in items]
