"""Which files the SQLite driver opens, which it refuses, and that it harms none of those."""

# ruff: noqa: ASYNC240 - nothing else runs on the loop while a test looks at its files

import asyncio
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from asynctasq.config import Config
from asynctasq.drivers import Message
from asynctasq.drivers.sqlite import SQLiteDriver, SQLiteSettings, opening
from asynctasq.errors import BrokerRejected, ConfigError

pytestmark = pytest.mark.anyio
needs_permissions = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


def driver_on(path: Path) -> SQLiteDriver:
    return SQLiteDriver(SQLiteSettings(sqlite_path=str(path)))


async def refused(path: Path) -> str:
    threads = threading.active_count()
    driver = driver_on(path)
    with pytest.raises(BrokerRejected) as caught:
        await driver.connect()
    assert threading.active_count() == threads
    text = str(caught.value)
    assert "\n" not in text
    return text


async def works(path: Path) -> None:
    driver = driver_on(path)
    await driver.connect()
    await driver.enqueue([Message("id", "queue", b"body")])
    assert [one.id for one in await driver.dequeue(["queue"], limit=1, lease=9, wait=0)] == ["id"]
    await driver.disconnect()


async def test_a_new_file_is_created(path: Path) -> None:
    await works(path)
    assert path.exists()


async def test_an_empty_file_is_initialised(path: Path) -> None:
    path.touch()
    await works(path)


async def test_a_disconnect_tidies_up_the_journal(path: Path) -> None:
    await works(path)
    assert os.listdir(path.parent) == [path.name]


async def test_drivers_may_create_the_file_at_the_same_time(path: Path) -> None:
    drivers = [driver_on(path) for _ in range(6)]
    await asyncio.gather(*(driver.connect() for driver in drivers))
    for number, driver in enumerate(drivers):
        await driver.enqueue([Message(str(number), "queue", b"")])
    taken = await drivers[0].dequeue(["queue"], limit=10, lease=9, wait=0)
    assert len(taken) == 6
    for driver in drivers:
        await driver.disconnect()


async def test_what_was_stored_is_there_after_opening_again(path: Path) -> None:
    driver = driver_on(path)
    for number in range(2):
        await driver.connect()
        await driver.enqueue([Message(str(number), "queue", b"")])
        await driver.disconnect()
    await driver.connect()
    taken = await driver.dequeue(["queue"], limit=10, lease=9, wait=0)
    await driver.disconnect()
    assert [one.id for one in taken] == ["0", "1"]


async def test_a_file_that_was_removed_is_created_again(path: Path) -> None:
    driver = driver_on(path)
    await driver.connect()
    path.unlink()
    await driver.enqueue([Message("id", "queue", b"")])
    assert path.exists()
    other = driver_on(path)
    await other.connect()
    assert len(await other.dequeue(["queue"], limit=1, lease=9, wait=0)) == 1
    await other.disconnect()
    await driver.disconnect()


async def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    assert "create it" in await refused(tmp_path / "missing" / "queue.db")
    assert list(tmp_path.iterdir()) == []


async def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert "is a directory" in await refused(tmp_path)


@pytest.mark.parametrize("size", [10, 5000])
async def test_a_file_of_another_kind_is_refused_and_left_alone(path: Path, size: int) -> None:
    path.write_bytes(b"not a database, " * size)
    assert "choose another path" in await refused(path)
    assert path.read_bytes() == b"not a database, " * size


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE theirs (x)", "PRAGMA user_version = 7", "PRAGMA application_id = 7"]
)
async def test_another_applications_database_is_refused_and_left_alone(
    path: Path, statement: str
) -> None:
    foreign = sqlite3.connect(path)
    foreign.execute(statement)
    foreign.close()
    before = path.read_bytes()
    assert "another application's database" in await refused(path)
    assert path.read_bytes() == before


async def test_a_newer_schema_asks_for_an_upgrade(path: Path) -> None:
    await works(path)
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {opening.SCHEMA_VERSION + 1}")
    newer.close()
    assert "upgrade" in await refused(path)


async def test_an_old_sqlite_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    assert "needs 3.35" in await refused(path)


@needs_permissions
async def test_a_read_only_file_is_refused(path: Path) -> None:
    await works(path)
    path.chmod(0o400)
    assert "cannot be written" in await refused(path)


@needs_permissions
async def test_a_read_only_directory_is_refused(path: Path) -> None:
    path.parent.chmod(0o500)
    try:
        assert "cannot be written" in await refused(path)
    finally:
        path.parent.chmod(0o700)


@pytest.mark.parametrize(
    ("value", "file"),
    [
        ("some.db", "some.db"),
        ("sqlite:///some.db", "some.db"),
        ("sqlite:///a/some%20name.db", "a/some name.db"),
        ("sqlite:////var/some.db", "/var/some.db"),
        ("/var/some.db", "/var/some.db"),
    ],
)
def test_the_path_may_be_a_url(value: str, file: str) -> None:
    settings = SQLiteSettings(sqlite_path=value)
    assert settings.file() == Path(file).absolute()
    assert settings.location() == str(Path(file).absolute())


@pytest.mark.parametrize(
    "value",
    ["", ":memory:", "sqlite://", "sqlite:///", "sqlite://some.db", "sqlite:///x.db?mode=ro"],
)
def test_a_path_that_names_no_file_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="sqlite_path"):
        SQLiteSettings(sqlite_path=value)


def test_the_general_url_names_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCTASQ_URL", "sqlite:////var/some.db")
    config = Config()
    assert config.driver == "sqlite"
    assert config.driver_settings.location() == "/var/some.db"


def test_a_sibling_stays_on_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    driver = SQLiteDriver(SQLiteSettings(sqlite_path="some.db"))
    monkeypatch.chdir("/")
    assert driver.sibling()._path == tmp_path / "some.db"
