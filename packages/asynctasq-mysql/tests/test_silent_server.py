"""Disconnecting from a server that vanished takes two seconds, not twenty."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from pydantic import SecretStr

from asynctasq.drivers import Message
from asynctasq.errors import BrokerError
from asynctasq_mysql import MySQLDriver, MySQLSettings, connection, session

pytestmark = pytest.mark.anyio

#: Tolerance in seconds for a busy machine.
SLACK = 2.0
LIMIT = session.CLOSE_LIMIT + connection.CLOSE_LIMIT


class Proxy:
    """Forwards bytes to a server, unless it is `silent`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = parts.hostname, parts.port or 3306
        self._database = parts.path
        self._user = parts.username
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.silent = False

    async def start(self) -> str:
        """The DSN of the server behind it."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return f"mysql://{self._user}@127.0.0.1:{port}{self._database}"

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection(*self._target)
        self._writers |= {writer, to_server}
        for source, target in ((reader, to_server), (server, writer)):
            self._tasks.add(asyncio.create_task(self._pass_on(source, target)))

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if not self.silent:
                    target.write(data)
                    await target.drain()
        if not self.silent:
            target.transport.abort()


@pytest.fixture
async def proxy(mysql_url: str) -> AsyncIterator[Proxy]:
    one = Proxy(mysql_url)
    yield one
    await one.stop()


@pytest.fixture
async def far(proxy: Proxy, settings: MySQLSettings) -> MySQLDriver:
    """A connected driver behind the proxy, with several connections."""
    dsn = {"mysql_dsn": SecretStr(await proxy.start()), "mysql_min_pool_size": 5}
    driver = MySQLDriver(MySQLSettings(**(settings.model_dump() | dsn)))
    await driver.connect()
    return driver


async def disconnect(driver: MySQLDriver) -> float:
    """Return the seconds that `disconnect` took."""
    started = time.monotonic()
    await driver.disconnect()
    return time.monotonic() - started


async def left_behind(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Return the driver's tasks that still exist after a turn of the loop."""
    gc.collect()
    await asyncio.sleep(0.05)
    return {task for task in asyncio.all_tasks() - before if "Proxy" not in repr(task)}


async def test_idle_connections_are_let_go(far: MySQLDriver, proxy: Proxy) -> None:
    before = asyncio.all_tasks()
    proxy.silent = True
    assert await disconnect(far) < LIMIT + SLACK
    assert await left_behind(before) == set()


async def test_a_worker_with_claims_under_way_lets_go(
    far: MySQLDriver, proxy: Proxy, driver: MySQLDriver
) -> None:
    before = asyncio.all_tasks()
    queue = f"queue-{uuid4().hex}"
    proxy.silent = True
    waiting = [
        asyncio.ensure_future(far.dequeue([queue], limit=1, lease=30, wait=60)) for _ in range(8)
    ]
    await asyncio.sleep(0.05)
    assert await disconnect(far) < LIMIT + SLACK
    async with asyncio.timeout(5):
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, BrokerError) for result in results)
    assert await left_behind(before) == set()
    await driver.enqueue([Message("1", queue, b"")])
    (taken,) = await driver.dequeue([queue], limit=1, lease=30, wait=5)
    assert taken.attempt == 1


async def test_a_disconnect_from_a_server_that_answers_is_quick(far: MySQLDriver) -> None:
    waiting = asyncio.ensure_future(far.dequeue(["none"], limit=1, lease=30, wait=60))
    await asyncio.sleep(0.05)
    assert await disconnect(far) < 1
    with pytest.raises(BrokerError):
        await waiting
