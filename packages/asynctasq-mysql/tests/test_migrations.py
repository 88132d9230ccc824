"""Creating the tables, and the errors if they are missing."""

import asyncio

import pytest
from pydantic import SecretStr

from asynctasq.drivers import Message, Migrator
from asynctasq.errors import BrokerRejected, BrokerUnavailable
from asynctasq_mysql import MySQLDriver, MySQLSettings

pytestmark = pytest.mark.anyio

NAMES = ["0001_tables", "0002_paused"]


async def test_migrating_twice_applies_once(fresh_tables: MySQLSettings) -> None:
    driver = MySQLDriver(fresh_tables)
    assert isinstance(driver, Migrator)
    assert list(await driver.pending()) == NAMES
    assert list(await driver.migrate()) == NAMES
    assert list(await driver.migrate()) == []
    assert list(await driver.pending()) == []
    await assert_usable(driver)


async def test_many_who_migrate_at_once_apply_once(fresh_tables: MySQLSettings) -> None:
    applied = await asyncio.gather(*(MySQLDriver(fresh_tables).migrate() for _ in range(5)))
    assert sorted(map(list, applied)) == [[], [], [], [], NAMES]


async def test_tables_that_are_missing_are_an_error_that_says_what_to_run(
    fresh_tables: MySQLSettings,
) -> None:
    driver = MySQLDriver(fresh_tables)
    with pytest.raises(BrokerRejected, match="asynctasq migrate --driver mysql"):
        await driver.connect()
    await driver.disconnect()


async def test_tables_that_are_behind_are_an_error_that_says_what_to_run(
    fresh_tables: MySQLSettings, query
) -> None:
    driver = MySQLDriver(fresh_tables)
    await driver.migrate()
    query(f"DELETE FROM {fresh_tables.tables().migrations}")
    with pytest.raises(BrokerRejected, match=r"0001_tables.*asynctasq migrate --driver mysql"):
        await driver.connect()
    assert list(await driver.migrate()) == NAMES
    await assert_usable(driver)


async def test_tables_that_vanish_are_an_error_that_says_what_to_run(
    fresh_tables: MySQLSettings, query
) -> None:
    driver = MySQLDriver(fresh_tables)
    await driver.migrate()
    await driver.connect()
    query(f"DROP TABLE {fresh_tables.tables().queue}")
    with pytest.raises(BrokerRejected, match="asynctasq migrate --driver mysql"):
        await driver.enqueue([Message("id", "queue", b"")])
    await driver.disconnect()


async def test_the_sql_does_what_migrating_does(fresh_tables: MySQLSettings, query) -> None:
    driver = MySQLDriver(fresh_tables)
    for _ in range(2):
        for statement in driver.migration_sql().split(";\n"):
            query(statement)
    assert list(await driver.pending()) == []
    await assert_usable(driver)


async def test_tables_may_be_in_another_database(on_server, server) -> None:
    server.ask("CREATE DATABASE IF NOT EXISTS elsewhere")
    driver = MySQLDriver(
        MySQLSettings(
            mysql_dsn=SecretStr(server.url),
            mysql_queue_table="elsewhere.odd-name",
            mysql_dead_letter_table="elsewhere.odd-dead",
        )
    )
    await driver.migrate()
    await assert_usable(driver)
    assert ("odd-name_workers",) in server.ask("SHOW TABLES FROM elsewhere")
    server.ask("DROP DATABASE elsewhere")


async def test_migrating_needs_a_server() -> None:
    driver = MySQLDriver(MySQLSettings(mysql_dsn=SecretStr("mysql://127.0.0.1:1/test")))
    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1"):
        await driver.migrate()


async def assert_usable(driver: MySQLDriver) -> None:
    await driver.connect()
    await driver.enqueue([Message("id", "queue", b"body")])
    (taken,) = await driver.dequeue(["queue"], limit=1, lease=30, wait=0)
    assert taken.body == b"body"
    await driver.disconnect()
