"""Tasks that come and go with a transaction of each library that speaks SQLite."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from asynctasq import BrokerRejected, DriverFactory, TaskHandle, init, task
from asynctasq.drivers import State

pytestmark = pytest.mark.anyio


@task(name="in-transaction-of-sqlite")
async def work(number: int) -> None: ...


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[Any]:
    config = init(driver="sqlite", sqlite_path=str(tmp_path / "queue.db"))
    one = DriverFactory.create_from_config(config)
    await one.connect()
    yield one
    await one.disconnect()


async def ready(driver: Any) -> list[str]:
    return [one.id for one in await driver.browse("default", State.READY, limit=100)]


async def test_aiosqlite(driver: Any, tmp_path: Path) -> None:
    import aiosqlite

    async with aiosqlite.connect(tmp_path / "queue.db") as connection:
        await work(1).dispatch(connection=connection)
        await connection.rollback()
        handle = await work(2).dispatch(connection=connection)
        with pytest.raises(BrokerRejected, match="asynchronous"):
            work(3).dispatch_sync(connection=connection)
        await connection.commit()
    assert await ready(driver) == [handle.id]


@pytest.mark.parametrize("kind", ["connection", "session", "scoped"])
async def test_sqlalchemy(driver: Any, tmp_path: Path, kind: str) -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session, scoped_session, sessionmaker

    engine = create_engine(f"sqlite:///{tmp_path}/queue.db")
    make: Any = {
        "connection": engine.connect,
        "session": lambda: Session(engine),
        "scoped": scoped_session(sessionmaker(engine)),
    }[kind]
    with make() as connection:
        work(1).dispatch_sync(connection=connection)
        connection.rollback()
        handle = work(2).dispatch_sync(connection=connection)
        connection.commit()
    engine.dispose()
    assert await ready(driver) == [handle.id]


@pytest.mark.parametrize("kind", ["connection", "session"])
async def test_sqlalchemy_asyncio(driver: Any, tmp_path: Path, kind: str) -> None:
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/queue.db")
    async with engine.connect() if kind == "connection" else AsyncSession(engine) as connection:
        await work(1).dispatch(connection=connection)
        await connection.rollback()
        handle = await work(2).dispatch(connection=connection)
        with pytest.raises(BrokerRejected, match="asynchronous"):
            work(3).dispatch_sync(connection=connection)
        await connection.commit()
    await engine.dispose()
    assert await ready(driver) == [handle.id]


async def test_django(driver: Any, tmp_path: Path) -> None:
    handle = await asyncio.to_thread(_dispatch_with_django, tmp_path / "queue.db")
    assert await ready(driver) == [handle.id]


def _dispatch_with_django(path: Path) -> TaskHandle:
    from django.conf import settings
    from django.db.utils import ConnectionHandler

    if not settings.configured:
        settings.configure()
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}
    connection = ConnectionHandler({"default": database})["default"]
    connection.set_autocommit(False)
    work(1).dispatch_sync(connection=connection)
    connection.rollback()
    handle = work(2).dispatch_sync(connection=connection)
    connection.commit()
    connection.close()
    return handle
