"""Claims: disjoint, by index whatever the statistics say, and given back when cut off."""

import asyncio
import json
from uuid import uuid4

import pytest

from asynctasq.drivers import Message, Outcome, Settlement, State
from asynctasq_postgres.dequeue import CLAIM
from asynctasq_postgres.enqueue import ENQUEUE
from asynctasq_postgres.leases import EXTEND
from asynctasq_postgres.settle import DONE, SETTLE

pytestmark = pytest.mark.anyio

#: Pages that a call for ten messages may touch: a scan of the backlog would touch thousands.
FEW_PAGES = 1000
BACKLOG = 60_000


async def test_eight_workers_claim_disjointly_and_find_no_false_end(driver_with, queue) -> None:
    drivers = [driver_with() for _ in range(8)]
    for driver in drivers:
        await driver.connect()
    stored = [str(number) for number in range(4000)]
    await drivers[0].enqueue([Message(one, queue, b"") for one in stored])
    left = len(stored)
    taken: list[str] = []
    empty_too_early: list[int] = []

    async def work(driver) -> None:
        nonlocal left
        while True:
            before = left
            held = await driver.dequeue([queue], limit=10, lease=30, wait=0)
            left -= len(held)
            taken.extend(one.id for one in held)
            if not held:
                # the others may be holding the last ones already, up to ten each
                if before > 80:
                    empty_too_early.append(before)
                if left <= 0:
                    return
            assert list(await driver.settle([Settlement(one, Outcome.DONE) for one in held])) == []

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for driver in drivers:
            group.create_task(work(driver))
    assert sorted(taken) == sorted(stored)
    assert empty_too_early == []
    for driver in drivers:
        await driver.disconnect()


@pytest.fixture
async def backlog(driver_with, connect, table):
    """A connection, and tables of the test's own with a backlog that grew unseen by statistics."""
    own = f"{table}_{uuid4().hex[:6]}"
    driver = driver_with(postgres_queue_table=own, postgres_dead_letter_table=f"{own}_dead")
    await driver.migrate()
    connection = await connect()
    names = driver.settings.names()
    for one in ("{table}", "{dead}"):
        await connection.execute(names.fill(f"ALTER TABLE {one} SET (autovacuum_enabled = false)"))

    async def call(sql: str, *arguments: object) -> int:
        """Run a statement of the driver's, and return how many pages it touched."""
        explained = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {names.fill(sql)}"
        ((text,),) = await connection.fetch(explained, *arguments)
        plan = json.loads(text)[0]["Plan"]
        return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]

    async def grow() -> None:
        await connection.execute(
            names.fill(
                "INSERT INTO {table} (queue, id, visible_at, body)"
                " SELECT 'queue', 'id-' || n, clock_timestamp(), sha256('') "
                f"FROM generate_series(1, {BACKLOG}) AS n"
            )
        )
        await connection.execute(
            names.fill(
                "INSERT INTO {dead} (queue, id, died_at, attempt, body, note)"
                " SELECT 'queue', 'dead-' || n, clock_timestamp(), 1, '', ''"
                f" FROM generate_series(1, {BACKLOG}) AS n ON CONFLICT DO NOTHING"
            )
        )

    yield connection, names, call, grow
    await connection.close()


async def held(connection, names) -> tuple[list[str], list[str], list[int]]:
    """The first arguments for ten messages that are held."""
    sql = "SELECT queue, id, token FROM {table} WHERE token IS NOT NULL LIMIT 10"
    rows = await connection.fetch(names.fill(sql))
    assert len(rows) == 10
    return tuple([row[column] for row in rows] for column in range(3))


@pytest.mark.parametrize(
    "statistics", ["none", "of the backlog", "of an empty queue", "of the dead alone"]
)
async def test_no_call_reads_the_backlog(backlog, statistics: str) -> None:
    connection, names, call, grow = backlog
    if statistics in (
        "of an empty queue",
        "of the dead alone",
    ):  # as a vacuum finds one that has kept its pages
        await grow()
        await connection.execute(names.fill("DELETE FROM {table}; DELETE FROM {dead}"))
        await connection.execute(names.fill("VACUUM ANALYZE {table}"))
        await connection.execute(names.fill("VACUUM ANALYZE {dead}"))
    await call(CLAIM, ["queue"], 10, 30.0, 1)  # what is planned now was planned without rows
    await call(EXTEND, ["queue"], ["none"], [1], 30.0)
    await grow()
    if statistics == "of the backlog":
        await connection.execute(names.fill("VACUUM ANALYZE {table}"))
    if statistics in ("of the backlog", "of the dead alone"):
        await connection.execute(names.fill("VACUUM ANALYZE {dead}"))
    for number in range(3):
        ids = [f"new-{number}", f"dead-{number}"]
        new = (["queue"] * 2, ids, [b""] * 2, [0.0] * 2, False)
        pages = {"enqueue": await call(ENQUEUE, *new)}
        pages |= {"claim": await call(CLAIM, ["none", "queue"], 10, 300.0, 7)}
        pages["extend"] = await call(EXTEND, *await held(connection, names), 30.0)
        queues, ids, tokens = await held(connection, names)
        outcomes = ["retry", "release", "dead", "done", "retry"] * 2
        more = (outcomes, [60.0] * 10, [""] * 10, False)
        pages["settle"] = await call(SETTLE, queues, ids, tokens, *more)
        pages["claim again"] = await call(CLAIM, ["queue"], 10, 300.0, 8)
        pages["done"] = await call(DONE, *await held(connection, names))
        pages["nothing to claim"] = await call(CLAIM, ["none", "nothing"], 10, 300.0, 9)
    assert {name: count for name, count in pages.items() if count > FEW_PAGES} == {}


async def test_a_claim_that_is_cut_off_gives_back_without_an_attempt(
    driver_with, connect, queue
) -> None:
    driver = driver_with()
    await driver.connect()
    await driver.enqueue([Message(str(number), queue, b"") for number in range(20)])
    other = await connect()
    transaction = other.transaction()
    await transaction.start()
    table = driver.settings.postgres_queue_table
    await other.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")  # the claim is under way so long
    claiming = asyncio.ensure_future(driver.dequeue([queue], limit=20, lease=300, wait=0))
    await asyncio.sleep(0.1)
    claiming.cancel()
    await asyncio.wait([claiming])
    await transaction.rollback()
    await other.close()
    taken = []
    async with asyncio.timeout(10):
        while len(taken) < 20:
            taken += await driver.dequeue([queue], limit=20, lease=30, wait=5)
    assert {one.attempt for one in taken} == {1}
    await driver.disconnect()


async def test_a_second_outcome_in_one_call_comes_too_late(driver, queue) -> None:
    await driver.enqueue([Message("1", queue, b""), Message("2", queue, b"")])
    first, second = await driver.dequeue([queue], limit=2, lease=30, wait=0)
    lost = await driver.settle(
        [
            Settlement(first, Outcome.DONE),
            Settlement(second, Outcome.DONE),
            Settlement(first, Outcome.RETRY),
            Settlement(second, Outcome.DONE),
        ]
    )
    assert list(lost) == [first, second]
    assert list(await driver.dequeue([queue], limit=2, lease=30, wait=0)) == []


async def test_extending_and_settling_the_same_messages_does_not_deadlock(driver, queue) -> None:
    for _ in range(20):
        await driver.enqueue([Message(str(number), queue, b"") for number in range(100)])
        taken = await driver.dequeue([queue], limit=100, lease=30, wait=0)
        done = [Settlement(one, Outcome.DONE) for one in reversed(taken)]
        await asyncio.gather(driver.extend(taken, lease=60), driver.settle(done))
    assert list(await driver.dequeue([queue], limit=1, lease=30, wait=0)) == []


async def test_an_id_that_dies_while_it_is_enqueued_again_is_only_dead(
    driver, driver_with, connect, queue
) -> None:
    await driver.enqueue([Message("1", queue, b"first")])
    (held,) = await driver.dequeue([queue], limit=1, lease=60, wait=0)
    dying = await connect()
    transaction = dying.transaction()
    await transaction.start()
    await dying.execute(
        driver.session.names.fill("SELECT {settle}($1, $2, $3, $4, $5, $6, false)"),
        *([queue], ["1"], [held.receipt], ["dead"], [0.0], ["why"]),
    )
    other = driver_with()
    await other.connect()
    messages = [Message("1", queue, b"again"), Message("2", queue, b"")]
    again = asyncio.ensure_future(other.enqueue(messages))
    async with asyncio.timeout(20):
        while not await dying.fetchval(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY("
            "pg_blocking_pids(pid))"
        ):
            await asyncio.sleep(0.01)
    await transaction.commit()
    await again
    states = [(one.id, one.state, one.body) for one in await driver.find(queue, ["1", "2"])]
    assert states == [("1", State.DEAD, b"first"), ("2", State.READY, b"")]
    await other.disconnect()
    await dying.close()
