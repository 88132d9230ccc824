"""The schema: made once, by one at a time, and asked for when it is missing."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from asynctasq.drivers import Message
from asynctasq.errors import BrokerRejected

pytestmark = pytest.mark.anyio


@pytest.fixture
async def tables(table, connect) -> AsyncIterator[dict[str, str]]:
    """Settings for tables that do not exist, in a schema that does."""
    schema = f"{table}_{uuid4().hex[:8]}"
    connection = await connect()
    await connection.execute(f"CREATE SCHEMA {schema}")
    yield {
        "postgres_queue_table": f"{schema}.tasks",
        "postgres_dead_letter_table": f"{schema}.Dead",
    }
    await connection.execute(f"DROP SCHEMA {schema} CASCADE")
    await connection.close()


async def test_what_is_missing_is_applied_once(driver_with, tables) -> None:
    driver = driver_with(**tables)
    names = await driver.pending()
    assert list(names) == ["0001_tables", "0002_functions"]
    assert await driver.migrate() == names
    assert list(await driver.pending()) == []
    assert list(await driver.migrate()) == []


async def test_several_processes_may_migrate(driver_with, tables) -> None:
    drivers = [driver_with(**tables) for _ in range(6)]
    applied = await asyncio.gather(*(driver.migrate() for driver in drivers))
    assert sorted(map(len, applied)) == [0, 0, 0, 0, 0, 2]


async def test_a_driver_without_its_tables_says_what_to_run(driver_with, tables) -> None:
    driver = driver_with(**tables)
    with pytest.raises(BrokerRejected, match="asynctasq migrate --driver postgres"):
        await driver.connect()
    await driver.disconnect()


async def test_a_driver_on_old_tables_says_what_to_run(driver_with, tables, connect) -> None:
    driver = driver_with(**tables)
    await driver.migrate()
    connection = await connect()
    migrations = tables["postgres_queue_table"] + "_migrations"
    await connection.execute(f"DELETE FROM {migrations} WHERE name = '0002_functions'")
    await connection.close()
    with pytest.raises(
        BrokerRejected, match="outdated, without 0002_functions; run: asynctasq migrate"
    ):
        await driver.connect()
    assert await driver.migrate() == ["0002_functions"]
    await driver.connect()
    await driver.disconnect()


@pytest.mark.parametrize("length", [31, 32, 48])  # of schema and table, with a dot in between
async def test_names_as_long_as_they_may_be_work_and_wake(
    driver_with, connect, length: int
) -> None:
    schema, name = (uuid4().hex.ljust(length, "x")[:length] for _ in range(2))
    schema = f"s{schema[1:]}"
    connection = await connect()
    await connection.execute(f"CREATE SCHEMA {schema}")
    tables = {
        "postgres_queue_table": f"{schema}.t{name[1:]}",
        "postgres_dead_letter_table": f"{schema}.d{name[1:]}",
    }
    worker, producer = (driver_with(**tables, postgres_poll_interval=60) for _ in range(2))
    try:
        await worker.migrate()
        await worker.connect()
        await producer.connect()
        waiting = asyncio.ensure_future(worker.dequeue(["queue"], limit=1, lease=30, wait=60))
        async with asyncio.timeout(20):
            while not worker.session.listener.listening:
                await asyncio.sleep(0.01)
            started = asyncio.get_running_loop().time()
            await producer.enqueue([Message("1", "queue", b"")])
            assert [one.id for one in await waiting] == ["1"]
        assert asyncio.get_running_loop().time() - started < 3  # the next look would be at five
    finally:
        await worker.disconnect()
        await producer.disconnect()
        await connection.execute(f"DROP SCHEMA {schema} CASCADE")
        await connection.close()


async def test_tables_that_vanish_are_missed(driver_with, tables, connect) -> None:
    driver = driver_with(**tables)
    await driver.migrate()
    await driver.connect()
    connection = await connect()
    await connection.execute(f"DROP TABLE {tables['postgres_queue_table']}")
    await connection.close()
    with pytest.raises(BrokerRejected, match="asynctasq migrate --driver postgres"):
        await driver.enqueue([Message("1", "queue", b"")])
    await driver.disconnect()


async def test_the_printed_sql_does_the_same(driver_with, tables, connect) -> None:
    driver = driver_with(**tables)
    connection = await connect()
    for _ in range(2):  # it may be run again
        await connection.execute(driver.migration_sql())
    await connection.close()
    assert list(await driver.pending()) == []
    await driver.connect()
    await driver.enqueue([Message("1", "queue", b"")])
    (taken,) = await driver.dequeue(["queue"], limit=9, lease=30, wait=0)
    assert taken.id == "1"
    await driver.disconnect()


async def test_a_schema_is_not_made(driver_with) -> None:
    driver = driver_with(postgres_queue_table="no_such_schema.tasks")
    with pytest.raises(BrokerRejected, match="has no such schema"):
        await driver.migrate()


async def test_tables_of_two_names_are_kept_apart(driver_with, tables, driver, queue) -> None:
    other = driver_with(**tables)
    await other.migrate()
    await other.connect()
    await driver.enqueue([Message("mine", queue, b"")])
    assert list(await other.dequeue([queue], limit=1, lease=30, wait=0)) == []
    (taken,) = await driver.dequeue([queue], limit=1, lease=30, wait=0)
    assert taken.id == "mine"
    await other.disconnect()
