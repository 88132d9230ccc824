"""Messages enqueued in a transaction of each MySQL client library.

Besides what the package needs, these tests need ``sqlalchemy[asyncio]`` and ``django``.
"""

import asyncio
from typing import Any
from uuid import uuid4

import aiomysql
import pymysql
import pytest

from asynctasq.drivers import Message, Outcome, Settlement, State, TransactionalEnqueue
from asynctasq.errors import BrokerRejected
from asynctasq_mysql import MySQLDriver, MySQLSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
def queue() -> str:
    return f"queue-{uuid4().hex}"


@pytest.fixture
def where(settings: MySQLSettings) -> dict[str, Any]:
    """How the client libraries connect."""
    target = settings.target()
    return {
        "host": target.host,
        "port": target.port,
        "user": target.user,
        "password": target.password,
        "db": target.database,
    }


def one(queue: str, name: str = "id") -> list[Message]:
    return [Message(name, queue, bytes(range(256)), 0.0)]


async def ready(driver: MySQLDriver, queue: str) -> list[str]:
    return [found.id for found in await driver.browse(queue, State.READY, limit=100)]


@pytest.mark.parametrize("cursor", ["Cursor", "DictCursor", "SSCursor", "SSDictCursor"])
async def test_aiomysql(
    driver: MySQLDriver, where: dict[str, Any], queue: str, cursor: str
) -> None:
    assert isinstance(driver, TransactionalEnqueue)
    await bury(driver, queue, "dead")
    connection = await aiomysql.connect(**where, cursorclass=getattr(aiomysql, cursor))
    await driver.enqueue_on(connection, one(queue))
    await connection.rollback()
    assert await ready(driver, queue) == []
    await driver.enqueue_on(connection, [*one(queue, "dead"), *one(queue, "mine"), *one(queue)])
    assert await ready(driver, queue) == []
    with pytest.raises(BrokerRejected, match="asynchronous"):
        driver.enqueue_on_sync(connection, one(queue))
    await connection.commit()
    await connection.ensure_closed()
    assert await ready(driver, queue) == ["mine", "id"]
    taken = await driver.dequeue([queue], limit=9, lease=30, wait=0)
    assert taken[0].body == bytes(range(256))


async def test_the_driver_need_not_be_connected(
    driver: MySQLDriver, where: dict[str, Any], queue: str
) -> None:
    connection = await aiomysql.connect(**where)
    await driver.sibling().enqueue_on(connection, one(queue))
    await connection.commit()
    await connection.ensure_closed()
    assert await ready(driver, queue) == ["id"]


async def test_the_callers_isolation_keeps_no_worker_waiting(
    driver: MySQLDriver, where: dict[str, Any], queue: str
) -> None:
    connection = await aiomysql.connect(**where)
    async with connection.cursor() as cursor:
        await cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    await driver.enqueue_on(connection, [Message(f"{n}", queue, b"") for n in range(0, 100, 2)])
    async with asyncio.timeout(2):
        await driver.enqueue([Message(f"{n}", queue, b"") for n in range(1, 100, 2)])
        held = await driver.dequeue([queue], limit=100, lease=30, wait=0)
        assert len(held) == 50
        await driver.settle([Settlement(item, Outcome.DEAD) for item in held])
    await connection.commit()
    await connection.ensure_closed()
    assert len(await ready(driver, queue)) == 50


@pytest.mark.parametrize("cursor", ["Cursor", "DictCursor", "SSCursor", "SSDictCursor"])
async def test_pymysql(driver: MySQLDriver, where: dict[str, Any], queue: str, cursor: str) -> None:
    await bury(driver, queue, "dead")
    with pymysql.connect(**where, cursorclass=getattr(pymysql.cursors, cursor)) as connection:
        driver.enqueue_on_sync(connection, one(queue))
        connection.rollback()
        driver.enqueue_on_sync(connection, one(queue, "dead") + one(queue, "mine"))
        assert await ready(driver, queue) == []
        connection.commit()
        await driver.enqueue_on(connection, one(queue))
        connection.commit()
    assert await ready(driver, queue) == ["mine", "id"]


@pytest.mark.parametrize("kind", ["connection", "session", "scoped"])
async def test_sqlalchemy(
    driver: MySQLDriver, where: dict[str, Any], queue: str, kind: str
) -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session, scoped_session, sessionmaker

    engine = create_engine(sqlalchemy_url(where, "pymysql"))
    make: Any = {
        "connection": engine.connect,
        "session": lambda: Session(engine),
        "scoped": scoped_session(sessionmaker(engine)),
    }[kind]
    with make() as connection:
        driver.enqueue_on_sync(connection, one(queue, "gone"))
        connection.rollback()
        driver.enqueue_on_sync(connection, one(queue))
        assert await ready(driver, queue) == []
        connection.commit()
    engine.dispose()
    assert await ready(driver, queue) == ["id"]


@pytest.mark.parametrize("kind", ["connection", "session"])
async def test_sqlalchemy_asyncio(
    driver: MySQLDriver, where: dict[str, Any], queue: str, kind: str
) -> None:
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    engine = create_async_engine(sqlalchemy_url(where, "aiomysql"))
    async with engine.connect() if kind == "connection" else AsyncSession(engine) as connection:
        await driver.enqueue_on(connection, one(queue, "gone"))
        await connection.rollback()
        await driver.enqueue_on(connection, one(queue))
        assert await ready(driver, queue) == []
        with pytest.raises(BrokerRejected, match="asynchronous"):
            driver.enqueue_on_sync(connection, one(queue))
        await connection.commit()
    await engine.dispose()
    assert await ready(driver, queue) == ["id"]


async def test_django(driver: MySQLDriver, where: dict[str, Any], queue: str) -> None:
    await asyncio.to_thread(enqueue_with_django, driver, where, queue)
    assert await ready(driver, queue) == ["id"]


async def test_a_connection_elsewhere_says_what_to_run(
    where: dict[str, Any], fresh_tables: MySQLSettings, queue: str
) -> None:
    driver = MySQLDriver(fresh_tables)
    connection = await aiomysql.connect(**where)
    with pytest.raises(BrokerRejected, match="asynctasq migrate"):
        await driver.enqueue_on(connection, one(queue))
    await connection.ensure_closed()


@pytest.mark.parametrize("connection", [object(), None, "mysql://host/db"])
async def test_what_is_no_connection_is_named_as_such(
    driver: MySQLDriver, queue: str, connection: object
) -> None:
    with pytest.raises(BrokerRejected, match=f"aiomysql.*{type(connection).__name__}"):
        await driver.enqueue_on(connection, one(queue))
    with pytest.raises(BrokerRejected, match=f"aiomysql.*{type(connection).__name__}"):
        driver.enqueue_on_sync(connection, one(queue))


async def bury(driver: MySQLDriver, queue: str, name: str) -> None:
    await driver.enqueue(one(queue, name))
    held = await driver.dequeue([queue], limit=1, lease=30, wait=0)
    await driver.settle([Settlement(item, Outcome.DEAD) for item in held])


def sqlalchemy_url(where: dict[str, Any], library: str) -> Any:
    from sqlalchemy import URL

    return URL.create(
        f"mysql+{library}",
        where["user"],
        where["password"],
        where["host"],
        where["port"],
        where["db"],
    )


def enqueue_with_django(driver: MySQLDriver, where: dict[str, Any], queue: str) -> None:
    pymysql.install_as_MySQLdb()  # the name under which Django looks for its client
    import django
    from django.conf import settings
    from django.db.utils import ConnectionHandler

    if not settings.configured:
        settings.configure()
    django.setup()
    database = {
        "ENGINE": "django.db.backends.mysql",
        "HOST": where["host"],
        "PORT": where["port"],
        "USER": where["user"],
        "PASSWORD": where["password"],
        "NAME": where["db"],
    }
    connection = ConnectionHandler({"default": database})["default"]
    connection.set_autocommit(False)
    driver.enqueue_on_sync(connection, one(queue, "gone"))
    connection.rollback()
    driver.enqueue_on_sync(connection, one(queue))
    connection.commit()
    connection.close()
