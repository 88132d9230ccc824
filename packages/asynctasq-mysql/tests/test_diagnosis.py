"""Each check of the diagnostics, on a server with the defect."""

import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pymysql
import pytest
from pydantic import SecretStr

from asynctasq.drivers import Finding, Level, Message
from asynctasq_mysql import MySQLDriver, MySQLSettings, transaction_checks

Found = dict[str, Finding]
Ask = Callable[[str], list[Any]]

pytestmark = pytest.mark.anyio

CARELESS = (
    "--transaction-isolation=SERIALIZABLE",
    "--innodb-flush-log-at-trx-commit=2",
    "--log-bin",
    "--server-id=1",
    "--sync-binlog=0",
    "--max-allowed-packet=1M",
    "--innodb-lock-wait-timeout=600",
)


@pytest.fixture
async def own(fresh_tables: MySQLSettings) -> MySQLDriver:
    """A driver with its own tables, which a test may damage."""
    driver = MySQLDriver(fresh_tables)
    await driver.migrate()
    return driver


@pytest.fixture
def user(query: Ask) -> Iterator[str]:
    """A user without rights."""
    name = f"test_{uuid4().hex[:12]}"
    query(f"CREATE USER '{name}'@'%' IDENTIFIED BY 'secret'")
    yield name
    query(f"DROP USER '{name}'@'%'")


async def found(driver: MySQLDriver) -> Found:
    return {one.name: one for one in await driver.diagnose()}


async def test_without_tables_it_says_what_to_run_and_what_it_can_see(
    fresh_tables: MySQLSettings,
) -> None:
    findings = await found(MySQLDriver(fresh_tables))
    assert findings["tables"].level is Level.PROBLEM
    assert findings["tables"].advice == "run: asynctasq migrate --driver mysql"
    assert "engine" not in findings
    assert "rights" not in findings
    assert findings["version"].level is Level.OK


async def test_tables_that_are_behind_are_a_problem(own: MySQLDriver, query: Ask) -> None:
    query(f"DELETE FROM {own.mysql.tables().migrations} ORDER BY name DESC LIMIT 1")
    tables = (await found(own))["tables"]
    assert tables.level is Level.PROBLEM
    assert tables.advice == "run: asynctasq migrate --driver mysql"


async def test_tables_as_they_were_made_are_in_order(own: MySQLDriver) -> None:
    findings = await found(own)
    for name in ("version", "role", "tables", "rights", "engine", "isolation", "largest packet"):
        assert findings[name].level is Level.OK, findings[name]
    assert findings["isolation"].value.startswith("READ-COMMITTED for workers")
    assert findings["lock wait"].value.startswith("3 s for workers")


async def test_a_worker_without_rights_is_told_what_to_grant(
    own: MySQLDriver, query: Ask, user: str
) -> None:
    tables, target = own.mysql.tables(), own.mysql.target()
    query(f"GRANT SELECT, DELETE ON {tables.queue} TO '{user}'@'%'")
    dsn = SecretStr(f"mysql://{user}:secret@{target.host}:{target.port}/{target.database}")
    driver = MySQLDriver(own.mysql.model_copy(update={"mysql_dsn": dsn}))
    findings = await found(driver)
    rights = findings["rights"]
    assert rights.level is Level.PROBLEM
    grants = rights.advice.split("; ")
    assert f"GRANT INSERT, UPDATE ON {tables.queue} TO '{user}'@'%'" in grants
    assert f"GRANT SELECT ON {tables.migrations} TO '{user}'@'%'" in grants
    assert len(grants) == 5
    assert findings["tables"].value.startswith("not known: ")
    assert "PROCESS" in findings["oldest transaction"].value
    for grant in grants:
        query(grant)
    findings = await found(driver)
    assert [one for one in findings.values() if one.level is Level.PROBLEM] == []
    assert findings["rights"].value == "all that a worker needs"
    await driver.connect()
    await driver.enqueue([Message("1", "queue", b"")])
    await driver.disconnect()


async def test_another_engine_is_a_problem(own: MySQLDriver, query: Ask) -> None:
    query(f"ALTER TABLE {own.mysql.tables().queue} ENGINE = MyISAM")
    engine = (await found(own))["engine"]
    assert engine.level is Level.PROBLEM
    assert engine.value == "InnoDB, MyISAM"
    query(engine.advice)
    assert (await found(own))["engine"].level is Level.OK


async def test_a_careless_server_is_warned_of(start_server) -> None:
    server = start_server(*CARELESS)
    driver = MySQLDriver(MySQLSettings(mysql_dsn=SecretStr(server.url)))
    await driver.migrate()
    findings = await found(driver)
    for name in ("isolation", "durability", "largest packet", "lock wait"):
        assert findings[name].level is Level.WARNING, findings[name]
    assert "innodb_flush_log_at_trx_commit and sync_binlog to 1" in findings["durability"].advice
    assert findings["isolation"].value == "READ-COMMITTED for workers, SERIALIZABLE for others"
    server.ask("SET GLOBAL tx_isolation = 'READ-UNCOMMITTED'")
    assert "never committed" in (await found(driver))["isolation"].advice
    server.ask("SET GLOBAL binlog_format = 'STATEMENT'")
    assert "ROW or MIXED" in (await found(driver))["role"].advice
    server.ask("SET GLOBAL read_only = ON")
    role = (await found(driver))["role"]
    assert (role.level, role.value) == (Level.PROBLEM, "read_only, a replica maybe")


async def test_a_transaction_that_stays_open_is_warned_of(
    start_server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction_checks, "LONG", -1)
    server = start_server()
    driver = MySQLDriver(MySQLSettings(mysql_dsn=SecretStr(server.url)))
    await driver.migrate()
    forgotten = pymysql.connect(host="127.0.0.1", port=server.port, user="root", database="test")
    with forgotten.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    deadline = time.monotonic() + 20
    while (oldest := (await found(driver))["oldest transaction"]).level is Level.OK:
        assert time.monotonic() < deadline, oldest
    assert f"KILL {forgotten.thread_id()} ends it" in oldest.advice
    monkeypatch.setattr(transaction_checks, "LONG_HISTORY", -1)
    assert (await found(driver))["history"].level is Level.WARNING
    forgotten.close()
