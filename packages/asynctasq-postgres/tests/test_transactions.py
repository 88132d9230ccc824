"""Messages that come and go with a transaction of each client library that speaks PostgreSQL."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from asynctasq.drivers import Message, State
from asynctasq.errors import BrokerRejected, BrokerUnavailable

pytestmark = pytest.mark.anyio


@pytest.fixture
def ready(driver, queue) -> Callable[[], Any]:
    """A function that gives the ids of the messages that are stored."""

    async def ready() -> list[str]:
        return [one.id for one in await driver.browse(queue, State.READY, limit=100)]

    return ready


@asynccontextmanager
async def asyncpg_connection(url: str):
    import asyncpg

    connection = await asyncpg.connect(url)
    transaction = None

    async def begin() -> None:
        nonlocal transaction
        transaction = connection.transaction()
        await transaction.start()

    yield connection, begin, lambda: transaction.commit(), lambda: transaction.rollback()
    await connection.close()


@asynccontextmanager
async def asyncpg_pool(url: str):
    import asyncpg

    async with asyncpg.create_pool(url, min_size=1) as pool, pool.acquire() as connection:
        transaction = None

        async def begin() -> None:
            nonlocal transaction
            transaction = connection.transaction()
            await transaction.start()

        yield connection, begin, lambda: transaction.commit(), lambda: transaction.rollback()


@asynccontextmanager
async def psycopg_connection(url: str):
    import psycopg

    async with await psycopg.AsyncConnection.connect(url) as connection:
        yield connection, _nothing, connection.commit, connection.rollback


@asynccontextmanager
async def psycopg_sync(url: str):
    import psycopg

    with psycopg.connect(url) as connection:
        yield connection, _nothing, *_awaited(connection.commit, connection.rollback)


@asynccontextmanager
async def sqlalchemy_sync(url: str, kind: str = "connection"):
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session, scoped_session, sessionmaker

    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    make: Any = {
        "connection": engine.connect,
        "session": lambda: Session(engine),
        "scoped": scoped_session(sessionmaker(engine)),
    }[kind]
    with make() as connection:
        yield connection, _nothing, *_awaited(connection.commit, connection.rollback)
    engine.dispose()


@asynccontextmanager
async def sqlalchemy_async(url: str, kind: str = "connection", client: str = "asyncpg"):
    from sqlalchemy.ext.asyncio import (
        AsyncSession,
        async_scoped_session,
        async_sessionmaker,
        create_async_engine,
    )

    engine = create_async_engine(url.replace("postgresql:", f"postgresql+{client}:"))
    make: Any = {
        "connection": engine.connect,
        "session": lambda: AsyncSession(engine),
        "scoped": async_scoped_session(async_sessionmaker(engine), asyncio.current_task),
    }[kind]
    async with make() as connection:
        yield connection, _nothing, connection.commit, connection.rollback
    await engine.dispose()


def kinds(open_with: Callable[..., Any], *more: Any) -> Callable[[str], Any]:
    return lambda url: open_with(url, *more)


ASYNCHRONOUS = {
    "asyncpg": asyncpg_connection,
    "asyncpg pool": asyncpg_pool,
    "psycopg": psycopg_connection,
    "sqlalchemy connection on asyncpg": kinds(sqlalchemy_async, "connection"),
    "sqlalchemy session on asyncpg": kinds(sqlalchemy_async, "session"),
    "sqlalchemy scoped session on asyncpg": kinds(sqlalchemy_async, "scoped"),
    "sqlalchemy connection on psycopg": kinds(sqlalchemy_async, "connection", "psycopg"),
    "sqlalchemy session on psycopg": kinds(sqlalchemy_async, "session", "psycopg"),
}
SYNCHRONOUS = {
    "psycopg": psycopg_sync,
    "sqlalchemy connection": kinds(sqlalchemy_sync, "connection"),
    "sqlalchemy session": kinds(sqlalchemy_sync, "session"),
    "sqlalchemy scoped session": kinds(sqlalchemy_sync, "scoped"),
}


@pytest.mark.parametrize("client", ASYNCHRONOUS)
async def test_an_asynchronous_client(client, postgres_url, settings, driver_with, ready, queue):
    producer = driver_with()  # which need not be connected
    async with ASYNCHRONOUS[client](postgres_url) as (connection, begin, commit, rollback):
        await begin()
        await producer.enqueue_on(connection, [Message("gone", queue, b"body")])
        await rollback()
        await begin()
        await producer.enqueue_on(connection, [Message("1", queue, b""), Message("2", queue, b"")])
        await producer.enqueue_on(connection, [Message("2", queue, b""), Message("3", queue, b"")])
        with pytest.raises(BrokerRejected, match="asynchronous"):
            producer.enqueue_on_sync(connection, [Message("4", queue, b"")])
        assert await ready() == []
        await commit()
        assert await ready() == ["1", "2", "3"]


@pytest.mark.parametrize("called", ["enqueue_on", "enqueue_on_sync"])
@pytest.mark.parametrize("client", SYNCHRONOUS)
async def test_a_synchronous_client(client, called, postgres_url, driver_with, ready, queue):
    producer = driver_with()

    async def enqueue(connection, *ids: str) -> None:
        messages = [Message(one, queue, bytes(range(256))) for one in ids]
        if called == "enqueue_on":
            await producer.enqueue_on(connection, messages)
        else:
            producer.enqueue_on_sync(connection, messages)

    async with SYNCHRONOUS[client](postgres_url) as (connection, _, commit, rollback):
        await enqueue(connection, "gone")
        await rollback()
        await enqueue(connection, "1", "2")
        assert await ready() == []
        await commit()
        assert await ready() == ["1", "2"]


async def test_django(postgres_url, driver_with, ready, driver, queue) -> None:
    from django.db import NotSupportedError

    try:
        await asyncio.to_thread(_enqueue_with_django, postgres_url, driver_with(), queue)
    except NotSupportedError as error:
        pytest.skip(str(error))  # Django leaves old servers behind sooner than we do
    assert await ready() == ["1"]
    (found,) = await driver.find(queue, ["1"])
    assert found.body == b"\0body"


async def test_django_on_the_event_loop_says_what_to_do(postgres_url, driver_with, queue) -> None:
    connection = _django_connections(postgres_url)["default"]
    messages = [Message("1", queue, b"")]
    with pytest.raises(BrokerRejected, match="await sync_to_async") as caught:
        await driver_with().enqueue_on(connection, messages)
    assert "\n" not in str(caught.value)
    with pytest.raises(BrokerRejected, match="dispatch_sync"):
        driver_with().enqueue_on_sync(connection, messages)


def _enqueue_with_django(url: str, producer: Any, queue: str) -> None:
    from django.db import transaction

    connections = _django_connections(url)
    connection = connections["default"]
    before, transaction.connections = transaction.connections, connections
    try:
        with transaction.atomic():
            producer.enqueue_on_sync(connection, [Message("gone", queue, b"")])
            transaction.set_rollback(True)
        with transaction.atomic():
            producer.enqueue_on_sync(connection, [Message("1", queue, b"\0body")])
    finally:
        connection.close()
        transaction.connections = before


def _django_connections(url: str) -> Any:
    from urllib.parse import unquote, urlsplit

    from django.conf import settings
    from django.db.utils import ConnectionHandler

    if not settings.configured:
        settings.configure()
    parts = urlsplit(url)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.strip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname,
        "PORT": parts.port,
    }
    return ConnectionHandler({"default": database})


async def test_a_savepoint_takes_a_message_back(postgres_url, driver_with, ready, queue) -> None:
    import asyncpg

    producer = driver_with()
    connection = await asyncpg.connect(postgres_url)
    async with connection.transaction():
        await producer.enqueue_on(connection, [Message("1", queue, b"")])
        savepoint = connection.transaction()
        await savepoint.start()
        await producer.enqueue_on(connection, [Message("gone", queue, b"")])
        await savepoint.rollback()
    await connection.close()
    assert await ready() == ["1"]


async def test_the_commit_wakes_a_worker(postgres_url, driver, driver_with, queue) -> None:
    import asyncpg

    waiting = asyncio.ensure_future(driver.dequeue([queue], limit=1, lease=30, wait=30))
    async with asyncio.timeout(10):
        while not driver.session.listener.listening:
            await asyncio.sleep(0.01)
    connection = await asyncpg.connect(postgres_url)
    async with connection.transaction():
        await driver_with().enqueue_on(connection, [Message("1", queue, b"")])
        await asyncio.sleep(0.2)
        assert not waiting.done()
    async with asyncio.timeout(3):
        assert [one.id for one in await waiting] == ["1"]
    await connection.close()


async def test_another_kind_of_connection_is_refused(driver_with, queue) -> None:
    import sqlite3

    producer = driver_with()
    connection = sqlite3.connect(":memory:")
    messages = [Message("1", queue, b"")]
    with pytest.raises(BrokerRejected, match="SQLAlchemy or Django, and this is a sqlite3"):
        await producer.enqueue_on(connection, messages)
    with pytest.raises(BrokerRejected, match="SQLAlchemy or Django, and this is a sqlite3"):
        producer.enqueue_on_sync(connection, messages)
    connection.close()


async def test_what_the_server_refuses_is_translated(postgres_url, driver_with, queue) -> None:
    import asyncpg
    import psycopg

    producer = driver_with(postgres_queue_table="no_such_table")
    connection = await asyncpg.connect(postgres_url)
    with pytest.raises(BrokerRejected, match="asynctasq migrate --driver postgres"):
        await producer.enqueue_on(connection, [Message("1", queue, b"")])
    await connection.close()
    with pytest.raises(BrokerUnavailable):
        await producer.enqueue_on(connection, [Message("1", queue, b"")])
    with psycopg.connect(postgres_url) as other:
        with pytest.raises(BrokerRejected, match="asynctasq migrate --driver postgres"):
            producer.enqueue_on_sync(other, [Message("1", queue, b"")])
        with pytest.raises(BrokerRejected, match="aborted"):
            producer.enqueue_on_sync(other, [Message("1", queue, b"")])


async def _nothing() -> None:
    """Clients that begin by themselves need no word to."""


def _awaited(*calls: Callable[[], object]) -> list[Callable[[], Any]]:
    """Synchronous calls as asynchronous ones."""

    def awaited(call: Callable[[], object]) -> Callable[[], Any]:
        async def run() -> None:
            call()

        return run

    return [awaited(call) for call in calls]
