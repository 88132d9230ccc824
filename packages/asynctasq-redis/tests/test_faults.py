"""What happens to calls while the server goes away and comes back."""

import asyncio

import pytest

from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq.errors import BrokerUnavailable

DURABLE = ("--save", "", "--appendonly", "yes", "--appendfsync", "always")

pytestmark = pytest.mark.anyio


async def insist(call):
    """The result of a call that is made again while the broker is away."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await call()
            except BrokerUnavailable:
                await asyncio.sleep(0.02)


async def test_a_restart_in_the_middle_of_a_wait(server, driver_on) -> None:
    one = server(*DURABLE)
    driver, other = driver_on(one.url), driver_on(one.url)
    await driver.connect()
    await other.connect()
    waiting = asyncio.ensure_future(
        insist(lambda: driver.dequeue(["queue"], limit=1, lease=30, wait=60))
    )
    await asyncio.sleep(0.1)
    await asyncio.to_thread(one.restart)
    await insist(lambda: other.enqueue([Message("id", "queue", b"")]))
    async with asyncio.timeout(5):
        assert [delivery.id for delivery in await waiting] == ["id"]
    await driver.disconnect()
    await other.disconnect()


async def test_a_restart_between_dequeue_and_settle(server, driver_on) -> None:
    one = server(*DURABLE)
    driver = driver_on(one.url)
    await driver.connect()
    await driver.enqueue([Message(str(number), "queue", b"") for number in range(10)])
    held = await driver.dequeue(["queue"], limit=10, lease=60, wait=0)
    one.stop()
    with pytest.raises(BrokerUnavailable):
        await driver.settle([Settlement(delivery, Outcome.DONE) for delivery in held])
    one.start()
    settlements = [Settlement(delivery, Outcome.DONE) for delivery in held]
    assert await insist(lambda: driver.settle(settlements)) == []
    assert await driver.queues() == []
    await driver.disconnect()


async def test_a_stale_connection_is_replaced_without_an_error(server, driver_on) -> None:
    one = server(*DURABLE)
    driver = driver_on(one.url)
    await driver.connect()
    await driver.enqueue([Message("id", "queue", b"")])
    await asyncio.to_thread(one.restart)
    (held,) = await driver.dequeue(["queue"], limit=1, lease=60, wait=0)
    assert await driver.settle([Settlement(held, Outcome.DONE)]) == []
    await driver.disconnect()


async def test_scripts_that_were_flushed_are_sent_again(server, driver_on) -> None:
    one = server("--save", "")
    driver = driver_on(one.url)
    await driver.connect()
    one.ask("SCRIPT", "FLUSH")
    await driver.enqueue([Message("a", "one", b""), Message("b", "two", b"")])
    one.ask("SCRIPT", "FLUSH")
    held = await driver.dequeue(["one", "two"], limit=2, lease=60, wait=0)
    one.ask("SCRIPT", "FLUSH")
    outcomes = (Outcome.DONE, Outcome.DEAD)
    settlements = [
        Settlement(delivery, what) for delivery, what in zip(held, outcomes, strict=True)
    ]
    assert await driver.settle(settlements) == []
    assert [(stats.queue, stats.dead) for stats in await driver.queues()] == [("two", 1)]
    await driver.disconnect()


@pytest.mark.parametrize("victim", ["normal", "all of them, again and again"])
async def test_killed_connections_lose_no_message(server, driver_on, victim: str) -> None:
    one = server("--save", "")
    driver, other = driver_on(one.url), driver_on(one.url)
    await driver.connect()
    await other.connect()
    rounds = 1 if victim == "normal" else 10
    taken: set[str] = set()
    for number in range(rounds):
        waiting = asyncio.ensure_future(
            insist(lambda: driver.dequeue(["queue"], limit=1, lease=30, wait=30))
        )
        await asyncio.sleep(0.02)
        one.ask("CLIENT", "KILL", "TYPE", "normal")
        await insist(lambda number=number: other.enqueue([Message(str(number), "queue", b"")]))
        taken |= {delivery.id for delivery in await waiting}
    assert taken == {str(number) for number in range(rounds)}
    await driver.disconnect()
    await other.disconnect()


async def test_a_server_that_hangs_up_on_the_idle_is_no_trouble(server, driver_on) -> None:
    one = server("--save", "", "--timeout", "1")
    driver = driver_on(one.url)
    await driver.connect()
    waiting = asyncio.ensure_future(driver.dequeue(["queue"], limit=1, lease=30, wait=30))
    await asyncio.sleep(2.5)
    await driver.enqueue([Message("id", "queue", b"")])
    async with asyncio.timeout(5):
        assert len(await waiting) == 1
    await driver.disconnect()
