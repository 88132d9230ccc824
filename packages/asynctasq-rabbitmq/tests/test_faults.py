"""Messages survive lost connections and deleted queues."""

import asyncio
import time
from contextlib import suppress

import pytest
from pamqp import commands

from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq.errors import BrokerUnavailable, EnqueueFailed
from asynctasq_rabbitmq import RabbitMQDriver
from asynctasq_rabbitmq.link import Link
from asynctasq_rabbitmq.names import Names

pytestmark = pytest.mark.anyio


async def insist(call):
    """Return the result of a call that is retried while the broker is down."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await call()
            except BrokerUnavailable:
                await asyncio.sleep(0.02)


async def drain(driver, queue: str, count: int) -> list:
    taken: list = []
    while (left := count - len(taken)) > 0:
        batch = await insist(
            lambda left=left: driver.dequeue([queue], limit=left, lease=60, wait=10)
        )
        assert batch
        taken += batch
    return taken


async def delete_queue(settings, queue: str) -> None:
    link = Link(settings.url(), settings.location(), "asynctasq tests")
    await link.open()
    channel = await link.channel()
    name = Names(settings.rabbitmq_exchange_name).queue(queue)
    await channel.call(commands.Queue.Delete(queue=name), commands.Queue.DeleteOk)
    await link.close()


async def test_a_cut_before_the_confirms_is_told_and_loses_nothing(driver, other, proxy) -> None:
    await driver.enqueue([Message("first", "cut", b"")])
    messages = [Message(str(number), "cut", b"") for number in range(200)]
    proxy.mute = True
    enqueuing = asyncio.ensure_future(driver.enqueue(messages))
    await asyncio.sleep(0.2)
    proxy.cut()
    proxy.mute = False
    with pytest.raises((BrokerUnavailable, EnqueueFailed)):
        await enqueuing
    await insist(lambda: driver.enqueue(messages))
    missing = {"first", *(message.id for message in messages)}
    async with asyncio.timeout(20):
        while missing:
            batch = await other.dequeue(["cut"], limit=1000, lease=60, wait=5)
            missing -= {one.id for one in batch}


async def test_a_cut_while_it_waits_is_told_and_the_next_call_connects(driver, proxy) -> None:
    waiting = asyncio.ensure_future(driver.dequeue(["wait"], limit=1, lease=30, wait=30))
    await asyncio.sleep(0.1)
    proxy.cut()
    with pytest.raises(BrokerUnavailable):
        async with asyncio.timeout(5):
            await waiting
    await insist(lambda: driver.enqueue([Message("id", "wait", b"")]))
    assert [one.id for one in await drain(driver, "wait", 1)] == ["id"]


async def test_what_a_lost_connection_held_comes_back_and_counts(driver, other, proxy) -> None:
    await driver.enqueue([Message(str(number), "held", b"") for number in range(3)])
    await drain(driver, "held", 3)
    proxy.cut()
    again = await drain(other, "held", 3)
    assert {one.attempt for one in again} == {2}


async def test_an_outcome_that_missed_its_connection_is_applied_later(driver, proxy) -> None:
    await driver.enqueue([Message(str(number), "late", b"") for number in range(4)])
    held = await drain(driver, "late", 4)
    proxy.cut()
    await asyncio.sleep(0.1)
    outcomes = [Outcome.DONE, Outcome.RETRY, Outcome.RELEASE, Outcome.DEAD]
    items = [Settlement(one, what) for one, what in zip(held, outcomes, strict=True)]
    assert list(await insist(lambda: driver.settle(items))) == []
    again = await drain(driver, "late", 2)
    assert {one.id for one in again} == {held[1].id, held[2].id}
    assert await driver.dequeue(["late"], limit=9, lease=30, wait=0.3) == []
    (stats,) = await driver.counts(["late"])
    assert (stats.ready, stats.dead) == (0, 1)


async def test_a_cut_in_a_settlement_settles_once(driver, other, proxy) -> None:
    await driver.enqueue([Message(str(number), "settle", b"") for number in range(20)])
    held = await drain(driver, "settle", 20)
    items = [
        Settlement(one, Outcome.RETRY if number % 2 else Outcome.DONE)
        for number, one in enumerate(held)
    ]
    proxy.mute = True
    settling = asyncio.ensure_future(driver.settle(items))
    await asyncio.sleep(0.2)
    proxy.cut()
    proxy.mute = False
    with pytest.raises(BrokerUnavailable):
        await settling
    assert list(await insist(lambda: driver.settle(items))) == []
    seen: set[str] = set()
    while batch := await insist(lambda: driver.dequeue(["settle"], limit=9, lease=60, wait=0.5)):
        seen |= {one.id for one in batch}
        await driver.settle([Settlement(one, Outcome.DONE) for one in batch])
    assert seen == {one.id for number, one in enumerate(held) if number % 2}
    assert await other.dequeue(["settle"], limit=9, lease=60, wait=0) == []


async def test_what_nobody_takes_is_handed_back_uncounted(driver, other) -> None:
    await driver.enqueue([Message("first", "unwanted", b"")])
    assert len(await driver.dequeue(["unwanted"], limit=5, lease=60, wait=5)) == 1
    await driver.enqueue([Message(str(number), "unwanted", b"") for number in range(4)])
    started = time.monotonic()
    taken = await drain(other, "unwanted", 4)
    assert time.monotonic() - started < 3
    assert {one.attempt for one in taken} == {1}


async def test_what_was_pushed_is_handed_back_at_a_disconnect(driver, other) -> None:
    await driver.dequeue(["pushed"], limit=5, lease=60, wait=0)
    await driver.enqueue([Message(str(number), "pushed", b"") for number in range(4)])
    await driver.disconnect()
    taken = await drain(other, "pushed", 4)
    assert {one.attempt for one in taken} == {1}


async def test_a_queue_deleted_while_it_is_consumed_is_declared_anew(driver, settings) -> None:
    waiting = asyncio.ensure_future(driver.dequeue(["deleted"], limit=1, lease=30, wait=20))
    await asyncio.sleep(0.3)
    await delete_queue(settings, "deleted")
    await asyncio.sleep(0.1)
    await driver.enqueue([Message("id", "deleted", b"")])
    async with asyncio.timeout(10):
        assert [one.id for one in await waiting] == ["id"]


async def test_a_queue_deleted_while_messages_are_held_takes_them_again(driver, settings) -> None:
    await driver.enqueue([Message("id", "gone", b"")])
    (held,) = await drain(driver, "gone", 1)
    await delete_queue(settings, "gone")
    assert list(await insist(lambda: driver.settle([Settlement(held, Outcome.RETRY)]))) == []
    (again,) = await drain(driver, "gone", 1)
    assert (again.id, again.attempt) == ("id", 2)


async def test_a_returned_message_finds_its_queue_declared_again(driver, settings) -> None:
    await driver.enqueue([Message("before", "returned", b"")])
    await delete_queue(settings, "returned")
    await driver.enqueue([Message(str(number), "returned", b"") for number in range(300)])
    assert len(await drain(driver, "returned", 300)) == 300


async def test_a_blocked_event_loop_keeps_nobody_waiting(driver, settings) -> None:
    await driver.dequeue(["blocked"], limit=5, lease=60, wait=0)
    await driver.enqueue([Message("id", "blocked", b"")])

    def take_elsewhere() -> list[str]:
        async def take() -> list[str]:
            one = RabbitMQDriver(settings)
            await one.connect()
            taken = await one.dequeue(["blocked"], limit=1, lease=30, wait=5)
            await one.disconnect()
            return [delivery.id for delivery in taken]

        return asyncio.run(take())

    elsewhere = asyncio.ensure_future(asyncio.to_thread(take_elsewhere))
    await asyncio.sleep(0.01)
    time.sleep(2)
    assert await elsewhere == ["id"]


async def test_many_cuts_lose_no_message(driver, other, proxy) -> None:
    missing = {str(number) for number in range(30)}
    for number in range(30):
        if number % 5 == 0:
            proxy.cut()
        with suppress(EnqueueFailed):
            await insist(lambda n=number: driver.enqueue([Message(str(n), "cuts", b"")]))
    async with asyncio.timeout(20):
        while missing:
            batch = await other.dequeue(["cuts"], limit=9, lease=60, wait=5)
            missing -= {one.id for one in batch}
