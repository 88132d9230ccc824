"""Concurrent claims, deadlocks, and the polls of an idle driver."""

import asyncio
import itertools
import time

import pytest

from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq.errors import BrokerUnavailable
from asynctasq_mysql import session as session_module
from asynctasq_mysql.claim import Request, claim
from asynctasq_mysql.literals import name

pytestmark = pytest.mark.anyio


async def test_a_claim_that_is_open_locks_what_it_takes_and_nothing_else(on_server, server) -> None:
    driver, other = await on_server(), await on_server()
    await driver.enqueue([Message(f"{number:03}", "queue", b"") for number in range(100)])
    table = driver.session.tables.queue

    async def hold(link) -> None:
        _, rows = await link.run(
            f"START TRANSACTION; SELECT id FROM {table} FORCE INDEX (due)"
            f" WHERE queue = {name('queue')} AND visible_at <= UTC_TIMESTAMP(6)"
            " ORDER BY visible_at, seq LIMIT 10 FOR UPDATE SKIP LOCKED"
        )
        assert len(rows) == 10
        taken = await other.dequeue(["queue"], limit=100, lease=30, wait=0)
        assert [one.id for one in taken] == [f"{number:03}" for number in range(10, 100)]
        await other.enqueue([Message("more", "queue", b"")])
        await link.run("ROLLBACK")

    await driver.session.run(hold)


async def test_eight_claimers_take_each_message_once(on_server) -> None:
    drivers = [await on_server() for _ in range(8)]
    sent = [Message(str(number), "queue", b"") for number in range(4000)]
    await drivers[0].enqueue(sent)
    taken: list[str] = []

    async def consume(driver) -> None:
        while held := await driver.dequeue(["queue"], limit=50, lease=60, wait=0.5):
            taken.extend(one.id for one in held)
            lost = await driver.settle([Settlement(one, Outcome.DONE) for one in held])
            assert list(lost) == []

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for driver in drivers:
            group.create_task(consume(driver))
    assert sorted(taken, key=int) == [one.id for one in sent]


async def test_all_kinds_of_calls_at_once_meet_no_error(on_server) -> None:
    drivers = [await on_server() for _ in range(4)]
    done: set[str] = set()
    outcomes = itertools.cycle(Outcome)

    async def produce(driver, number: int) -> None:
        for start in range(0, 400, 20):
            ids = range(start, start + 20)
            await driver.enqueue([Message(f"{number}-{one}", "queue", b"") for one in ids])

    async def consume(driver) -> None:
        while held := await driver.dequeue(["queue"], limit=20, lease=0.05, wait=1):
            await driver.extend(held[::2], lease=30)
            await driver.settle(
                [
                    Settlement(one, Outcome.DONE if one.id in done else next(outcomes))
                    for one in held
                ]
            )
            await driver.requeue("queue", [one.id for one in held])
            done.update(one.id for one in held)

    async with asyncio.timeout(90), asyncio.TaskGroup() as group:
        for number, driver in enumerate(drivers):
            group.create_task(produce(driver, number))
            group.create_task(consume(driver))
    assert len(done) == 1600
    assert list(await drivers[0].queues()) == []


async def test_a_deadlock_is_tried_again_inside_the_driver(on_server) -> None:
    driver = await on_server()
    await driver.enqueue([Message("a", "queue", b""), Message("b", "queue", b"")])
    table = driver.session.tables.queue
    (rows,) = await driver.session.query(f"SELECT seq FROM {table} ORDER BY seq")
    first, second = (seq for (seq,) in rows)
    tries: list[int] = []

    async def touch(link, order: tuple[int, int], met: asyncio.Barrier) -> None:
        tries.append(1)
        await link.run(
            f"START TRANSACTION; SELECT 1 FROM {table} WHERE seq = {order[0]} FOR UPDATE"
        )
        if len(tries) <= 2:
            await met.wait()
        await link.run(f"SELECT 1 FROM {table} WHERE seq = {order[1]} FOR UPDATE; COMMIT")

    met = asyncio.Barrier(2)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for order in ((first, second), (second, first)):
            group.create_task(driver.session.run(lambda link, order=order: touch(link, order, met)))
    assert len(tries) > 2


async def test_a_lock_that_stays_is_the_brokers_absence(
    on_server, server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "CONFLICT_TRIES", 0)
    driver = await on_server()
    await driver.enqueue([Message("id", "queue", b"")])
    (held,) = await driver.dequeue(["queue"], limit=1, lease=60, wait=0)

    async def block(link) -> None:
        await link.run(f"START TRANSACTION; SELECT 1 FROM {driver.session.tables.queue} FOR UPDATE")
        with pytest.raises(BrokerUnavailable, match="not ready"):
            await driver.settle([Settlement(held, Outcome.DONE)])

    await driver.session.run(block)


async def test_an_idle_driver_asks_five_times_a_second_at_most(on_server, server) -> None:
    driver = await on_server()
    waiting = asyncio.ensure_future(driver.dequeue(["a", "b"], limit=1, lease=30, wait=30))
    await asyncio.sleep(1)
    before, started = questions(server), time.monotonic()
    await asyncio.sleep(4)
    asked, seconds = questions(server) - before, time.monotonic() - started
    assert (
        1 <= (asked - 2) / seconds <= 5
    )  # two statements are the test's own: the query, and autocommit
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_polling_a_busy_queue_costs_no_transaction(on_server) -> None:
    driver = await on_server()
    await driver.enqueue([Message("late", "queue", b"", 60)])
    found = await driver.session.run(
        lambda link: claim(link, driver.session.tables, Request(["queue", "none"], 9, 30))
    )
    assert found.deliveries == []
    assert found.next_due is not None
    assert 50 < found.next_due <= 60


def questions(server) -> int:
    return int(server.ask("SHOW GLOBAL STATUS LIKE 'Questions'")[0][1])
