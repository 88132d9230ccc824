"""Dispatching in a transaction of the caller's own."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from asynctasq import AsyncTask, BrokerRejected, DriverFactory, SyncTask, dispatch_many, init, task
from asynctasq.drivers import BaseDriver, State

pytestmark = pytest.mark.anyio


@task(name="in-transaction")
async def work(number: int) -> None: ...


@dataclass
class Work(AsyncTask[None]):
    number: int


@dataclass
class SyncWork(SyncTask[None]):
    number: int


CLASSES = pytest.mark.parametrize("kind", [Work, SyncWork])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
async def driver(path: Path) -> Any:
    """Connected, and what dispatch uses; the file has a table of the application's, too."""
    config = init(driver="sqlite", sqlite_path=str(path))
    one: BaseDriver = DriverFactory.create_from_config(config)
    await one.connect()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE orders (number INTEGER)")
    yield one
    await one.disconnect()


@pytest.fixture
def connection(driver: Any, path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as one:
        yield one


async def ready(driver: Any) -> list[str]:
    return [one.id for one in await driver.browse("default", State.READY, limit=100)]


async def test_a_task_comes_with_the_commit(driver: Any, connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO orders VALUES (1)")
    handle = await work(1).dispatch(connection=connection)
    assert await ready(driver) == []
    connection.commit()
    assert await ready(driver) == [handle.id]


async def test_a_task_goes_with_the_rollback(driver: Any, connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO orders VALUES (1)")
    await dispatch_many([work(1), work(2)], connection=connection)
    connection.rollback()
    assert await ready(driver) == []
    assert connection.execute("SELECT count(*) FROM orders").fetchone() == (0,)


async def test_synchronous_code_may_do_the_same(
    driver: Any, connection: sqlite3.Connection
) -> None:
    handle = work(1).dispatch_sync(connection=connection)
    connection.commit()
    assert await ready(driver) == [handle.id]


async def test_the_file_may_be_attached(driver: Any, path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "own.db")) as connection:
        connection.execute("ATTACH ? AS 'a queue'", (str(path),))
        handle = await work(1).dispatch(connection=connection)
        connection.commit()
    assert await ready(driver) == [handle.id]


async def test_a_waiting_worker_is_woken_by_the_commit(
    driver: Any, connection: sqlite3.Connection
) -> None:
    handle = await work(1).dispatch(connection=connection)
    connection.commit()
    started = time.monotonic()
    (taken,) = await driver.dequeue(["default"], limit=1, lease=30, wait=10)
    assert taken.id == handle.id
    assert time.monotonic() - started < 3


async def test_a_delay_counts_from_the_dispatch(
    driver: Any, connection: sqlite3.Connection
) -> None:
    await work(1).delay(60).dispatch(connection=connection)
    connection.commit()
    (waiting,) = await driver.browse("default", State.DELAYED, limit=10)
    assert 50 < waiting.seconds <= 60


async def test_another_file_is_refused(driver: Any, tmp_path: Path) -> None:
    with (
        closing(sqlite3.connect(tmp_path / "own.db")) as connection,
        pytest.raises(BrokerRejected, match=r"not on .*queue\.db"),
    ):
        await work(1).dispatch(connection=connection)


async def test_a_file_without_a_queue_is_refused(tmp_path: Path) -> None:
    init(driver="sqlite", sqlite_path=str(tmp_path / "new.db"))
    with (
        closing(sqlite3.connect(tmp_path / "new.db")) as connection,
        pytest.raises(BrokerRejected, match="has no queue tables yet"),
    ):
        await work(1).dispatch(connection=connection)


async def test_what_is_no_connection_is_refused(driver: Any) -> None:
    with pytest.raises(BrokerRejected, match=r"takes a connection of sqlite3.*is a builtins\.str"):
        await work(1).dispatch(connection="queue.db")


async def test_a_driver_without_transactions_says_so() -> None:
    init(driver="memory", memory_url="memory://no-transactions")
    refusal = "the memory driver cannot enqueue inside a database transaction"
    with pytest.raises(BrokerRejected, match=refusal):
        await work(1).dispatch(connection=object())
    with pytest.raises(BrokerRejected, match=refusal):
        work(1).dispatch_sync(connection=object())


@CLASSES
@pytest.mark.parametrize("commit", [True, False])
async def test_class_tasks_share_the_transaction(
    driver: Any, connection: sqlite3.Connection, kind: Any, commit: bool
) -> None:
    connection.execute("INSERT INTO orders VALUES (1)")
    handles = [await kind(1).dispatch(connection=connection)]
    handles += [kind(2).dispatch_sync(connection=connection)]
    handles += await dispatch_many([kind(3), work(4)], connection=connection)
    assert await ready(driver) == []
    connection.commit() if commit else connection.rollback()
    assert await ready(driver) == [handle.id for handle in handles if commit]
