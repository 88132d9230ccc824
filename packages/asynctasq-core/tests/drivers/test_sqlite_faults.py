"""What the SQLite driver answers when its file system, its connection or its thread fails."""

import asyncio
import errno
import gc
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from asynctasq.drivers import Message, Outcome, Settlement, State
from asynctasq.drivers.sqlite import SQLiteDriver, SQLiteSettings, database
from asynctasq.drivers.sqlite.database import Database
from asynctasq.errors import BrokerUnavailable

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "dir").mkdir()
    return tmp_path / "dir" / "queue.db"


@pytest.fixture
async def driver(path: Path) -> AsyncIterator[SQLiteDriver]:
    driver = SQLiteDriver(SQLiteSettings(sqlite_path=str(path)))
    await driver.connect()
    yield driver
    await driver.disconnect()


@pytest.fixture
async def unowned() -> AsyncIterator[list[dict[str, Any]]]:
    """What the event loop is left with: errors that nobody took."""
    loop, found = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: found.append(context))
    yield found
    loop.set_exception_handler(None)


@pytest.fixture
def break_stat(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """A function that makes each look at the file fail with an errno, or none any more."""
    stat = os.stat

    def break_stat(code: int | None) -> None:
        def broken(path: Any, *args: Any, **more: Any) -> os.stat_result:
            if code is not None:
                raise OSError(code, os.strerror(code), str(path))
            return stat(path, *args, **more)

        monkeypatch.setattr(database.os, "stat", broken)

    return break_stat


def one(message_id: str) -> list[Message]:
    return [Message(message_id, "queue", b"")]


def threads() -> int:
    """How many threads of the driver there are."""
    return sum(thread.name == "asynctasq-sqlite" for thread in threading.enumerate())


async def held(driver: SQLiteDriver) -> list[Settlement]:
    await driver.enqueue(one("held"))
    taken = await driver.dequeue(["queue"], limit=1, lease=60, wait=0)
    return [Settlement(delivery, Outcome.DONE) for delivery in taken]


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EACCES, errno.ENOTDIR])
async def test_what_the_file_system_refuses_is_unavailable_and_passes(
    driver: SQLiteDriver, break_stat, code: int
) -> None:
    done = await held(driver)
    break_stat(code)
    calls = [
        lambda: driver.enqueue(one("lost")),
        lambda: driver.dequeue(["queue"], limit=1, lease=60, wait=0),
        lambda: driver.settle(done),
        lambda: driver.extend([done[0].delivery], lease=60),
        driver.queues,
    ]
    for call in calls:
        with pytest.raises(BrokerUnavailable, match=os.strerror(code)):
            await call()
    break_stat(None)
    assert list(await driver.settle(done)) == []
    assert await driver.queues() == []


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES])
async def test_a_connect_that_the_file_system_refuses_is_unavailable(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def broken(*_: object) -> bool:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "is_dir", broken)
    driver = SQLiteDriver(SQLiteSettings(sqlite_path=str(path)))
    for call in (driver.connect, driver.diagnose):
        with pytest.raises(BrokerUnavailable, match=os.strerror(code)):
            await call()
    assert threads() == 0
    await driver.disconnect()


@pytest.mark.parametrize("instead", ["nothing", "a file"])
async def test_a_directory_that_goes_away_for_a_while_is_unavailable(
    driver: SQLiteDriver, path: Path, instead: str
) -> None:
    done = await held(driver)
    away = path.parent.with_name("away")
    path.parent.rename(away)
    if instead == "a file":
        path.parent.touch()
    for _ in range(2):
        with pytest.raises(BrokerUnavailable):
            await driver.settle(done)
    if instead == "a file":
        path.parent.unlink()
    away.rename(path.parent)
    assert list(await driver.settle(done)) == []
    assert await driver.queues() == []


async def test_a_disconnect_that_fails_leaves_no_error_to_nobody(
    driver: SQLiteDriver, break_stat, unowned: list[dict[str, Any]]
) -> None:
    break_stat(errno.EIO)
    await driver.disconnect()
    gc.collect()
    await asyncio.sleep(0)
    assert unowned == []


@pytest.mark.parametrize(
    "error", [sqlite3.OperationalError("disk I/O error"), MemoryError(), SystemError("a bug")]
)
async def test_a_rollback_that_fails_answers_all_calls_and_opens_anew(
    driver: SQLiteDriver, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    await driver.enqueue(one("before"))
    rollback = Database.rollback

    def failing(self: Database) -> None:
        raise error

    def half_done(db: Database) -> None:
        db.begin()
        db.execute("DELETE FROM messages")
        raise sqlite3.OperationalError("no such luck")

    monkeypatch.setattr(Database, "rollback", failing)
    async with asyncio.timeout(10):
        calls = [driver._call(half_done) for _ in range(3)]
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, Exception) for result in results)
    monkeypatch.setattr(Database, "rollback", rollback)
    async with asyncio.timeout(10):
        await driver.enqueue(one("after"))
        stored = await driver.browse("queue", State.READY, limit=9)
    assert [message.id for message in stored] == ["before", "after"]


@pytest.mark.parametrize("error", [OSError(errno.EIO, "broken"), RuntimeError("a bug")])
async def test_a_close_that_fails_ends_the_thread_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    driver = SQLiteDriver(SQLiteSettings(sqlite_path=str(path)))
    await driver.connect()

    def failing(self: Database) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Database, "close", failing)
        async with asyncio.timeout(10):
            await driver.disconnect()
    assert threads() == 0
    async with asyncio.timeout(10):
        await driver.connect()
        await driver.enqueue(one("id"))
        await driver.disconnect()


async def test_a_call_after_the_thread_ended_is_answered(driver: SQLiteDriver) -> None:
    thread = driver._running()
    await driver.disconnect()
    with pytest.raises(BrokerUnavailable, match="was disconnected"):
        async with asyncio.timeout(10):
            await thread.submit(Database.now)


@pytest.fixture
def elsewhere() -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """A function that runs a coroutine function on another event loop, in another thread."""

    async def run(call: Callable[[], Any]) -> Any:
        async with asyncio.timeout(10):
            return await call()

    return lambda call: asyncio.to_thread(lambda: asyncio.run(run(call)))


async def test_a_call_from_another_event_loop_is_refused_before_it_does_anything(
    driver: SQLiteDriver, elsewhere
) -> None:
    await driver.enqueue(one("first"))
    calls = [
        lambda: driver.enqueue(one("second")),
        lambda: driver.dequeue(["queue"], limit=1, lease=60, wait=5),
        driver.connect,
        driver.disconnect,
    ]
    for call in calls:
        with pytest.raises(RuntimeError, match="another event loop"):
            await elsewhere(call)
    (taken,) = await driver.dequeue(["queue"], limit=9, lease=60, wait=0)
    assert (taken.id, taken.attempt) == ("first", 1)


def test_a_driver_whose_event_loop_was_closed_connects_on_the_next_one(path: Path) -> None:
    driver = SQLiteDriver(SQLiteSettings(sqlite_path=str(path)))
    asyncio.run(driver.connect())

    async def again() -> int:
        await driver.connect()
        await driver.enqueue(one("id"))
        taken = await driver.dequeue(["queue"], limit=1, lease=60, wait=0)
        return len(taken)

    assert asyncio.run(again()) == 1
    asyncio.run(driver.disconnect())
    assert threads() == 0


def _as_dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip((column[0] for column in cursor.description), row, strict=True))


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("row_factory", _as_dict),
        ("row_factory", sqlite3.Row),
        ("row_factory", lambda cursor, row: row[0]),
        ("text_factory", bytes),
    ],
)
async def test_a_callers_way_with_rows_does_not_matter(
    driver: SQLiteDriver, path: Path, attribute: str, value: Any
) -> None:
    with closing(sqlite3.connect(path)) as connection:
        setattr(connection, attribute, value)
        driver.enqueue_on_sync(connection, one("sync"))
        await driver.enqueue_on(connection, one("async"))
        connection.commit()
    stored = await driver.browse("queue", State.READY, limit=9)
    assert [message.id for message in stored] == ["sync", "async"]
