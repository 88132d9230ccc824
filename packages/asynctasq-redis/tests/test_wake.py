"""What waiting costs, what it leaves behind, and that no wake-up is lost."""

import asyncio
import time

import pytest

from asynctasq.drivers import Message, Outcome, Settlement, State

pytestmark = pytest.mark.anyio


def commands(server) -> int:
    """Commands from clients so far, without those of scripts."""
    stats = server.ask("INFO", "commandstats")
    names = ("cmdstat_evalsha", "cmdstat_eval", "cmdstat_bzpopmin", "cmdstat_client|unblock")
    return sum(stats[name]["calls"] for name in names if name in stats)


@pytest.mark.flakiest
async def test_an_idle_worker_asks_less_than_once_a_second(server, driver_on) -> None:
    one = server("--save", "")
    driver = driver_on(one.url)
    await driver.connect()
    await driver.enqueue([Message("late", "queue", b"", 3600)])
    before, started = commands(one), time.monotonic()
    for _ in range(2):
        queues = ["other", "queue", "third"]
        assert await driver.dequeue(queues, limit=10, lease=30, wait=2.5) == []
    assert time.monotonic() - started >= 5
    assert commands(one) - before <= 5
    await driver.disconnect()


async def test_nothing_is_left_when_all_is_done(server, driver_on) -> None:
    one = server("--save", "")
    driver, other = driver_on(one.url), driver_on(one.url)
    await driver.connect()
    await other.connect()
    waiting = asyncio.ensure_future(other.dequeue(["queue"], limit=1, lease=30, wait=1))
    await driver.enqueue([Message(str(number), "queue", b"") for number in range(50)])
    await driver.enqueue([Message(f"late-{number}", "queue", b"", 0.01) for number in range(5)])
    held = list(await waiting)
    while taken := await driver.dequeue(["queue"], limit=7, lease=30, wait=0.1):
        held += taken
    settlements = [Settlement(one, Outcome.RETRY, 0.01) for one in held[:5]]
    settlements += [Settlement(one, Outcome.DEAD) for one in held[5:10]]
    settlements += [Settlement(one, Outcome.DONE) for one in held[10:]]
    assert await driver.settle(settlements) == []
    while taken := await driver.dequeue(["queue"], limit=7, lease=30, wait=0.1):
        await driver.settle([Settlement(one, Outcome.DONE) for one in taken])
    dead = [found.id for found in await driver.browse("queue", State.DEAD, limit=9)]
    assert len(await driver.requeue("queue", dead[:2])) == 2
    assert len(await driver.delete("queue", dead)) == 5
    assert await driver.dequeue(["queue"], limit=7, lease=30, wait=0) == []
    assert one.ask("KEYS", "*") == ["asynctasq:queues"]
    await driver.disconnect()
    await other.disconnect()


async def test_markers_do_not_pile_up(server, driver_on) -> None:
    one = server("--save", "")
    driver = driver_on(one.url)
    await driver.connect()
    for number in range(50):
        await driver.enqueue([Message(str(number), "queue", b"")])
    assert one.ask("ZCARD", "{asynctasq:queue}:wake") <= 2
    await driver.disconnect()


async def test_a_cancelled_waiter_hands_the_next_due_time_on(server, driver_on) -> None:
    one = server("--save", "")
    first, second = driver_on(one.url), driver_on(one.url)
    await first.connect()
    await second.connect()
    timed = asyncio.ensure_future(first.dequeue(["queue"], limit=1, lease=30, wait=20))
    await asyncio.sleep(0.1)
    untimed = asyncio.ensure_future(second.dequeue(["queue"], limit=1, lease=30, wait=20))
    await asyncio.sleep(0.1)
    started = time.monotonic()
    await second.enqueue([Message("late", "queue", b"", 0.5)])
    await asyncio.sleep(0.1)
    timed.cancel()
    assert [delivery.id for delivery in await untimed] == ["late"]
    assert time.monotonic() - started < 5
    await first.disconnect()
    await second.disconnect()


async def test_a_timed_waiter_that_takes_something_else_hands_the_time_on(
    server, driver_on
) -> None:
    one = server("--save", "")
    drivers = [driver_on(one.url) for _ in range(3)]
    for driver in drivers:
        await driver.connect()
    waiting = [
        asyncio.ensure_future(driver.dequeue(["queue"], limit=1, lease=30, wait=20))
        for driver in drivers[:2]
    ]
    await asyncio.sleep(0.1)
    started = time.monotonic()
    await drivers[2].enqueue([Message("late", "queue", b"", 0.5)])
    await asyncio.sleep(0.05)
    await drivers[2].enqueue([Message("now", "queue", b"")])
    taken = [delivery.id for waiter in waiting for delivery in await waiter]
    assert sorted(taken) == ["late", "now"]
    assert time.monotonic() - started < 5
    for driver in drivers:
        await driver.disconnect()


async def test_a_waiter_on_two_queues_leaves_the_second_to_others(server, driver_on) -> None:
    one = server("--save", "")
    both, other, producer = (driver_on(one.url) for _ in range(3))
    for driver in (both, other, producer):
        await driver.connect()
    waiting = [
        asyncio.ensure_future(both.dequeue(["a", "b"], limit=1, lease=30, wait=20)),
    ]
    await asyncio.sleep(0.1)
    waiting.append(asyncio.ensure_future(other.dequeue(["b"], limit=1, lease=30, wait=20)))
    await asyncio.sleep(0.1)
    started = time.monotonic()
    await producer.enqueue([Message("1", "b", b""), Message("2", "a", b"")])
    taken = [delivery.id for waiter in waiting for delivery in await waiter]
    assert sorted(taken) == ["1", "2"]
    assert time.monotonic() - started < 5
    for driver in (both, other, producer):
        await driver.disconnect()


async def test_a_cancelled_claim_gives_back_without_an_attempt(server, driver_on) -> None:
    one = server("--save", "")
    driver = driver_on(one.url)
    await driver.connect()
    await driver.enqueue([Message(str(number), "queue", b"") for number in range(20)])
    one.ask("CLIENT", "PAUSE", 200, "ALL")  # the claim is under way for so long
    claiming = asyncio.ensure_future(driver.dequeue(["queue"], limit=20, lease=30, wait=0))
    await asyncio.sleep(0.05)
    claiming.cancel()
    taken = []
    async with asyncio.timeout(5):
        while len(taken) < 20:
            taken += await driver.dequeue(["queue"], limit=20, lease=30, wait=1)
    assert {delivery.attempt for delivery in taken} == {1}
    await driver.disconnect()


async def test_entries_of_deleted_messages_are_passed_over(server, driver_on) -> None:
    one = server("--save", "")
    driver = driver_on(one.url)
    await driver.connect()
    await driver.enqueue([Message(str(number), "queue", b"old") for number in range(300)])
    assert len(await driver.delete("queue", [str(number) for number in range(300)])) == 300
    await driver.enqueue([Message("7", "queue", b"new", 0.2), Message("8", "queue", b"new")])
    (found,) = await driver.dequeue(["queue"], limit=1, lease=30, wait=0)
    assert (found.id, found.body) == ("8", b"new")
    assert await driver.dequeue(["queue"], limit=1, lease=30, wait=0) == []
    (late,) = await driver.dequeue(["queue"], limit=1, lease=30, wait=5)
    assert (late.id, late.body) == ("7", b"new")
    await driver.disconnect()
