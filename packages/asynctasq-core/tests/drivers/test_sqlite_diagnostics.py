"""What the doctor is told of a file."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from asynctasq.drivers import Finding, Level, Message
from asynctasq.drivers.sqlite import SQLiteDriver, SQLiteSettings, diagnostics
from asynctasq.errors import BrokerRejected

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
def reader(path: Path) -> Iterator[sqlite3.Connection]:
    """Another program's connection, with a transaction that it forgot."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


async def found(path: Path, **more: object) -> dict[str, Finding]:
    settings = SQLiteSettings.model_validate({"sqlite_path": str(path), **more})
    return {one.name: one for one in await SQLiteDriver(settings).diagnose()}


async def test_a_file_that_is_not_there_is_not_made(path: Path) -> None:
    findings = await found(path)
    assert findings["file"].value == "does not exist yet; its directory is writable"
    assert list(path.parent.iterdir()) == []


async def test_a_file_in_order_is_in_order(path: Path) -> None:
    driver = SQLiteDriver(SQLiteSettings(sqlite_path=str(path)))
    await driver.connect()
    findings = await found(path)
    await driver.disconnect()
    assert {one.level for one in findings.values()} == {Level.OK}
    assert findings["version"].value == sqlite3.sqlite_version
    assert findings["journal"].value.startswith("wal, ")


async def test_what_a_power_cut_may_take_is_warned_of(path: Path) -> None:
    synchronous = (await found(path, sqlite_synchronous="normal"))["synchronous"]
    assert (synchronous.value, synchronous.level) == ("normal", Level.WARNING)
    assert "sqlite_synchronous=full" in synchronous.advice


async def test_a_journal_that_grows_under_a_reader_is_warned_of(
    path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(diagnostics, "LONG_JOURNAL", 256 * 1024)
    driver = SQLiteDriver(SQLiteSettings(sqlite_path=str(path)))
    await driver.connect()
    reader: sqlite3.Connection = request.getfixturevalue("reader")
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM messages").fetchall()
    assert (await found(path))["journal"].level is Level.OK
    await driver.enqueue([Message("id", "queue", bytes(1024 * 1024))])
    journal = (await found(path))["journal"]
    await driver.disconnect()
    assert journal.level is Level.WARNING
    assert "transaction" in journal.advice


async def test_a_full_disk_is_warned_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnostics, "FREE_DISK", 1 << 62)
    disk = (await found(path))["disk"]
    assert (disk.level, disk.value[-5:]) == (Level.WARNING, " free")


async def test_what_cannot_be_opened_is_refused_in_the_words_of_connect(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)  # noqa: ASYNC240 - nothing else runs on the loop
    with pytest.raises(BrokerRejected, match="it is no SQLite database"):
        await found(path)
    with pytest.raises(BrokerRejected, match="is no directory"):
        await found(path / "deeper" / "queue.db")
