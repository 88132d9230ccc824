"""What the doctor is told of a server, each thing made wrong for real."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from uuid import uuid4

import asyncpg
import pytest
from pydantic import SecretStr

from asynctasq.drivers import Finding, Level, Message
from asynctasq.errors import BrokerRejected
from asynctasq_postgres import (
    PostgresDriver,
    PostgresSettings,
    server_checks,
    transaction_checks,
    vacuum_checks,
)

Found = dict[str, Finding]
#: Asks the shared server.
Ask = Callable[[str], Awaitable[object]]
#: Seconds after which a state that does not come is missing.
PATIENCE = 20.0

pytestmark = pytest.mark.anyio


@pytest.fixture
def ask(connect) -> Ask:
    """A function that runs statements on the shared server."""

    async def ask(statement: str) -> None:
        connection = await connect()
        await connection.execute(statement)
        await connection.close()  # which tells the server's statistics of it

    return ask


@pytest.fixture
async def own(driver_with, table: str) -> PostgresDriver:
    """A driver with tables of its own, which a test may spoil."""
    name = f"{table}_{uuid4().hex[:8]}"
    driver = driver_with(postgres_queue_table=name, postgres_dead_letter_table=f"{name}_dead")
    await driver.migrate()
    return driver


@pytest.fixture
async def private(server) -> PostgresDriver:
    """A driver on a private server that is set up as PostgreSQL comes."""
    name = f"test_{uuid4().hex[:12]}"
    dsn = SecretStr(server.url)
    driver = PostgresDriver(PostgresSettings(postgres_dsn=dsn, postgres_queue_table=name))
    await driver.migrate()
    return driver


@pytest.fixture
async def role(ask: Ask, settings: PostgresSettings) -> AsyncIterator[str]:
    """A user who may do nothing yet."""
    name = f"test_{uuid4().hex[:12]}"
    await ask(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    yield name
    await ask(f"DROP OWNED BY {name}")
    await ask(f"DROP ROLE {name}")


@pytest.fixture
def as_role(postgres_url: str, driver_with, role: str) -> Callable[..., PostgresDriver]:
    """A function that makes a driver of that user's."""
    place = postgres_url.rpartition("@")[2].removeprefix("postgresql://")
    dsn = SecretStr(f"postgresql://{role}:secret@{place}")
    return lambda **more: driver_with(postgres_dsn=dsn, **more)


async def found(driver: PostgresDriver) -> Found:
    return {one.name: one for one in await driver.diagnose()}


def table_of(driver: PostgresDriver) -> str:
    return driver.settings.names().queue_table


async def test_without_tables_it_says_what_to_run_and_what_it_can_see(driver_with) -> None:
    findings = await found(driver_with(postgres_queue_table="no_such_table"))
    tables = findings["tables"]
    assert (tables.level, tables.value) == (Level.PROBLEM, "no no_such_table")
    assert tables.advice == "run: asynctasq migrate --driver postgres"
    assert "rights" not in findings
    assert "autovacuum" not in findings
    assert findings["version"].level is Level.OK


async def test_a_schema_that_is_behind_is_a_problem(own: PostgresDriver, ask: Ask) -> None:
    await ask(f"DELETE FROM {table_of(own)}_migrations WHERE name = '0002_functions'")
    tables = (await found(own))["tables"]
    assert tables.level is Level.PROBLEM
    assert tables.value.endswith("without 0002_functions")


async def test_tables_as_they_were_made_are_in_order(private: PostgresDriver) -> None:
    findings = await found(private)
    assert [one for one in findings.values() if one.level is not Level.OK] == []
    assert findings["autovacuum"].value == "on, at 1% dead rows"


async def test_a_worker_without_rights_is_told_what_to_grant(
    own: PostgresDriver, ask: Ask, role: str, as_role
) -> None:
    table = table_of(own)
    await ask(f"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM {role}")
    await ask(f"REVOKE EXECUTE ON FUNCTION {table}_done FROM PUBLIC")
    await ask(f"GRANT SELECT, DELETE ON {table}, {table}_dead TO {role}")
    driver = as_role(postgres_queue_table=table, postgres_dead_letter_table=f"{table}_dead")
    findings = await found(driver)
    rights = findings["rights"]
    assert rights.level is Level.PROBLEM
    grants = rights.advice.split("; ")
    assert f'GRANT INSERT, UPDATE ON "{table}" TO {role}' in grants
    assert f'GRANT SELECT ON "{table}_migrations" TO {role}' in grants
    assert f'GRANT EXECUTE ON FUNCTION "{table}_done" TO {role}' in grants
    assert len(grants) == 6
    assert findings["tables"].value.startswith("not known: permission denied")
    for grant in grants:
        await ask(grant)
    findings = await found(driver)
    assert findings["rights"].level is findings["tables"].level is Level.OK
    assert [one for one in findings.values() if one.level is Level.PROBLEM] == []
    await driver.connect()
    await driver.enqueue([Message("1", "queue", b"")])
    await driver.disconnect()


async def test_a_right_on_the_schema_is_asked_for(ask: Ask, table: str, as_role) -> None:
    schema = f"{table}_{uuid4().hex[:6]}"
    await ask(f"CREATE SCHEMA {schema}")
    try:
        rights = (await found(as_role(postgres_queue_table=f"{schema}.queue")))["rights"]
    finally:
        await ask(f"DROP SCHEMA {schema}")
    assert rights.level is Level.PROBLEM
    assert f"ON SCHEMA {schema}" in rights.advice


async def test_settings_of_the_user_are_judged(ask: Ask, role: str, as_role) -> None:
    for setting in (
        "default_transaction_isolation = 'repeatable read'",
        "synchronous_commit = off",
        "default_transaction_read_only = on",
    ):
        await ask(f"ALTER ROLE {role} SET {setting}")
    findings = await found(as_role())
    assert findings["isolation"].level is Level.WARNING
    assert f"ALTER ROLE {role} SET default_transaction_isolation" in findings["isolation"].advice
    assert findings["durability"].level is Level.WARNING
    assert findings["durability"].value == "fsync on, synchronous_commit off"
    assert findings["role"].level is Level.PROBLEM


async def test_autovacuum_off_is_warned_of(private: PostgresDriver) -> None:
    table = table_of(private)
    connection = await asyncpg.connect(private.settings.dsn())
    await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    vacuum = (await found(private))["autovacuum"]
    assert (vacuum.level, vacuum.value) == (Level.WARNING, "off for the queue's table")
    await connection.execute(vacuum.advice)
    await connection.execute(f"ALTER TABLE {table} RESET (autovacuum_vacuum_scale_factor)")
    vacuum = (await found(private))["autovacuum"]
    assert (vacuum.level, vacuum.value) == (Level.WARNING, "on, at 20% dead rows")
    await connection.execute(vacuum.advice)
    assert (await found(private))["autovacuum"].level is Level.OK
    await connection.close()


async def test_rows_that_nobody_clears_are_warned_of(
    own: PostgresDriver, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vacuum_checks, "MANY_DEAD", 1000)
    table = table_of(own)
    await ask(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    await ask(
        f"INSERT INTO {table} (queue, id, visible_at, body)"
        " SELECT 'queue', number::text, now(), '' FROM generate_series(1, 2000) AS number"
    )
    await ask(f"DELETE FROM {table}")
    rows = await until(own, lambda findings: "2000 dead" in findings["dead rows"].value)
    assert rows["dead rows"].level is Level.WARNING
    assert "never vacuumed" in rows["dead rows"].value
    async with asyncio.timeout(PATIENCE):  # transactions of other tests may keep the rows
        while "2000 dead" in (await found(own))["dead rows"].value:
            await ask(f"VACUUM {table}")
    assert (await found(own))["dead rows"].level is Level.OK


async def test_a_transaction_that_stays_open_is_warned_of(
    private: PostgresDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction_checks, "LONG", 0.0)
    name = f"test-{uuid4().hex[:12]}"
    forgotten = await asyncpg.connect(
        private.settings.dsn(), server_settings={"application_name": name}
    )
    await forgotten.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    await forgotten.execute("SELECT 1 FROM pg_class LIMIT 1")
    process = forgotten.get_server_pid()

    def is_told_of(findings: Found) -> bool:
        oldest, snapshot = findings["oldest transaction"], findings["oldest snapshot"]
        return f"{name}, process {process}" in oldest.value and str(process) in snapshot.advice

    findings = await until(private, is_told_of)
    assert findings["oldest transaction"].level is Level.WARNING
    assert f"pg_terminate_backend({process})" in findings["oldest transaction"].advice
    assert findings["oldest snapshot"].level is Level.WARNING
    monkeypatch.setattr(transaction_checks, "LONG", 3600.0)
    assert (await found(private))["oldest snapshot"].level is Level.OK
    await forgotten.close()


async def test_what_others_do_is_judged_by_transactions_where_it_is_hidden(
    ask: Ask, connect, own: PostgresDriver, as_role, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten = await connect()
    await forgotten.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    await forgotten.execute("SELECT 1 FROM pg_class LIMIT 1")
    monkeypatch.setattr(transaction_checks, "MANY_SINCE", 0)
    driver = as_role()
    for number in range(3):
        await ask(f"INSERT INTO {table_of(own)}_migrations (name) VALUES ('{number}')")
    findings = await until(driver, lambda one: one["oldest snapshot"].level is Level.WARNING)
    assert "hidden" in findings["oldest snapshot"].value
    assert "hidden without the role pg_read_all_stats" in findings["oldest transaction"].value
    await forgotten.close()


async def test_a_newer_server_than_was_tested_is_warned_of(
    driver: PostgresDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_checks, "NEWEST", 9)
    assert (await found(driver))["version"].level is Level.WARNING
    monkeypatch.setattr(server_checks, "OLDEST", 99)
    assert (await found(driver))["version"].level is Level.PROBLEM


async def test_who_may_not_even_connect_is_refused_as_by_connect(driver_with, server) -> None:
    driver = driver_with(postgres_dsn=SecretStr(f"{server.url}_none"))
    with pytest.raises(BrokerRejected, match="has no such database"):
        await driver.diagnose()


@pytest.fixture
def preparing(server) -> Iterator[str]:
    """The DSN of a private server on which transactions can be prepared."""
    server.stop()
    server.start("max_prepared_transactions=2", "autovacuum=off")
    yield server.url
    server.ask("ROLLBACK PREPARED 'forgotten'")
    server.stop()
    server.start()


async def test_a_prepared_transaction_and_a_server_without_autovacuum(
    preparing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await asyncpg.connect(preparing)
    await connection.execute("BEGIN; SELECT txid_current(); PREPARE TRANSACTION 'forgotten'")
    await connection.close()
    driver = PostgresDriver(PostgresSettings(postgres_dsn=SecretStr(preparing)))
    await driver.migrate()
    findings = await found(driver)
    assert findings["prepared transactions"].value.startswith("forgotten, for ")
    assert findings["prepared transactions"].level is Level.OK
    assert findings["autovacuum"].value == "off on this server"
    assert findings["durability"].level is Level.OK
    monkeypatch.setattr(transaction_checks, "LONG", 0.0)
    assert (await found(driver))["prepared transactions"].level is Level.WARNING


@pytest.mark.parametrize(
    ("active", "since", "level"),
    [(True, 10, Level.OK), (False, 10, Level.WARNING), (True, 10**6, Level.WARNING)],
)
async def test_a_slot_that_keeps_rows(active: bool, since: int, level: Level) -> None:
    finding = transaction_checks.slot_finding(("standby", active, since))
    assert finding.level is level
    assert ("standby" in finding.advice) == (level is Level.WARNING)


async def until(driver: PostgresDriver, condition: Callable[[Found], bool]) -> Found:
    """What was found when the server's statistics came to show it."""
    deadline = time.monotonic() + PATIENCE
    while not condition(findings := await found(driver)):
        assert time.monotonic() < deadline, findings
        await asyncio.sleep(0.1)
    return findings
