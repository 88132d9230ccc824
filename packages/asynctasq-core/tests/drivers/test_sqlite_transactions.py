"""How the SQLite driver's calls share transactions, and fail one by one."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from asynctasq.drivers import Message
from asynctasq.drivers.sqlite import (
    SQLiteDriver,
    SQLiteSettings,
    dequeue,
    enqueue,
    leases,
    opening,
    settle,
)
from asynctasq.drivers.sqlite.database import Database
from asynctasq.drivers.sqlite.errors import translate_errors
from asynctasq.errors import BrokerRejected, BrokerUnavailable

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
async def driver(path: Path) -> AsyncIterator[SQLiteDriver]:
    driver = SQLiteDriver(SQLiteSettings(sqlite_path=str(path)))
    await driver.connect()
    yield driver
    await driver.disconnect()


@pytest.fixture
async def lock(driver: SQLiteDriver, path: Path) -> AsyncIterator[sqlite3.Connection]:
    """Another process's transaction: until it commits, the driver's calls gather."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Grows with every transaction that is committed."""
    commits: list[bool] = []
    commit = Database.commit

    def counting(self: Database) -> bool:
        if self.open().in_transaction:
            commits.append(True)
        return commit(self)

    monkeypatch.setattr(Database, "commit", counting)
    return commits


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(path, SQLiteSettings())
    database.open()
    yield database
    database.close()


async def start(*calls: object) -> "list[asyncio.Task[object]]":
    tasks = [asyncio.ensure_future(call) for call in calls]  # type: ignore[call-overload]
    for _ in range(3):
        await asyncio.sleep(0)  # they are submitted
    return tasks


async def test_calls_that_gather_share_a_commit(
    driver: SQLiteDriver, lock: sqlite3.Connection, commits: list[bool]
) -> None:
    tasks = await start(*(driver.enqueue([Message(str(n), "queue", b"")]) for n in range(100)))
    lock.execute("COMMIT")
    await asyncio.gather(*tasks)
    assert 1 <= len(commits) <= 3
    assert len(await driver.dequeue(["queue"], limit=100, lease=9, wait=0)) == 100


async def test_a_call_that_fails_spoils_no_other(
    driver: SQLiteDriver, lock: sqlite3.Connection
) -> None:
    ids = ["a", "b", "not\0good", "c", "d"]
    tasks = await start(*(driver.enqueue([Message(id_, "queue", b"")]) for id_ in ids))
    lock.execute("COMMIT")
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results if result] == [BrokerRejected]
    taken = await driver.dequeue(["queue"], limit=10, lease=9, wait=0)
    assert [one.id for one in taken] == ["a", "b", "c", "d"]


async def test_a_claim_cancelled_on_its_way_is_given_back_before_the_disconnect(
    driver: SQLiteDriver, path: Path
) -> None:
    await driver.enqueue([Message("id", "queue", b"")])
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    (claim,) = await start(driver.dequeue(["queue"], limit=1, lease=60, wait=5))
    claim.cancel()
    await asyncio.wait([claim])
    lock.execute("COMMIT")
    lock.close()
    await driver.disconnect()
    await driver.connect()
    (taken,) = await driver.dequeue(["queue"], limit=1, lease=9, wait=0)
    assert taken.attempt == 1


async def test_a_lock_that_is_held_for_too_long_is_unavailable(
    lock: sqlite3.Connection, path: Path
) -> None:
    driver = SQLiteDriver(SQLiteSettings(sqlite_path=str(path), sqlite_busy_timeout=0.05))
    await driver.connect()
    tasks = await start(*(driver.enqueue([Message(str(n), "queue", b"")]) for n in range(3)))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [BrokerUnavailable] * 3
    lock.execute("COMMIT")
    await driver.enqueue([Message("id", "queue", b"")])
    await driver.disconnect()


async def test_a_dequeue_that_finds_nothing_waits_for_no_lock(
    driver: SQLiteDriver, lock: sqlite3.Connection, commits: list[bool]
) -> None:
    assert list(await driver.dequeue(["queue"], limit=1, lease=9, wait=0)) == []
    assert commits == []


async def test_without_a_connection_calls_say_what_to_do(path: Path) -> None:
    driver = SQLiteDriver(SQLiteSettings(sqlite_path=str(path)))
    with pytest.raises(BrokerUnavailable, match=r"call connect\(\)"):
        await driver.enqueue([Message("id", "queue", b"")])


async def test_an_error_that_is_not_sqlites_reaches_its_caller(driver: SQLiteDriver) -> None:
    with pytest.raises(TypeError):
        await driver.enqueue([Message("id", "queue", "text")])  # type: ignore[arg-type]
    await driver.enqueue([Message("id", "queue", b"")])


def test_a_full_disk_is_unavailable_and_changes_nothing(database: Database) -> None:
    enqueue.enqueue(database, [Message("before", "queue", b"")])
    database.commit()
    pages = database.value("PRAGMA page_count")
    database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError) as caught:
        enqueue.enqueue(database, [Message("big", "queue", bytes(100_000))])
    database.rollback()
    error = translate_errors(caught.value, database.path)
    assert isinstance(error, BrokerUnavailable)
    assert "the disk is full" in str(error)
    taken = dequeue.claim(database, ["queue"], 10, 9.0).deliveries
    assert [one.id for one in taken] == ["before"]


def test_a_batch_beyond_one_value_is_stored_in_order(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enqueue, "CHUNK", 10)
    bodies = [b"1234", b"", b"56789012345", b"x", b""]
    enqueue.enqueue(database, [Message(str(n), "queue", body) for n, body in enumerate(bodies)])
    taken = dequeue.claim(database, ["queue"], 10, 9.0).deliveries
    assert [one.body for one in taken] == bodies


@pytest.mark.parametrize("statement", [dequeue.DUE, dequeue.NEXT_DUE])
def test_looking_for_due_messages_is_one_descent_of_the_index(
    database: Database, statement: str
) -> None:
    plan = _plan(database, statement)
    assert "USING COVERING INDEX due (queue=?" in plan or "USING INDEX due (queue=?" in plan
    assert "SCAN messages" not in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize(
    "statement", [dequeue.CLAIM, leases.HELD, settle.REMOVE, settle.CHANGE, leases.EXTEND]
)
def test_held_messages_are_found_by_their_rows(database: Database, statement: str) -> None:
    plan = _plan(database, statement)
    assert "SEARCH messages USING INTEGER PRIMARY KEY" in plan
    assert "SCAN messages" not in plan


def _plan(database: Database, statement: str) -> str:
    names = re.findall(r":(\w+)", statement)
    values = dict.fromkeys(names, "[]") if names else ["[]"] * statement.count("?")
    rows = database.execute(f"EXPLAIN QUERY PLAN {statement}", values)
    return " · ".join(detail for *_, detail in rows)


def test_every_pragma_of_ours_is_in_force(database: Database) -> None:
    assert database.value("PRAGMA journal_mode") == "wal"
    assert database.value("PRAGMA synchronous") == 2  # full
    assert database.value("PRAGMA application_id") == opening.APPLICATION_ID
