"""Disconnecting from a server that was lost without a word takes two seconds, not twenty."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq.errors import BrokerError
from asynctasq_postgres import PostgresDriver
from asynctasq_postgres.session import CLOSE_LIMIT

pytestmark = pytest.mark.anyio

#: What a busy machine adds.
SLACK = 2.0


class Proxy:
    """Passes bytes on to a server, unless it is `silent`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = parts.hostname, parts.port or 5432
        self._database = parts.path
        self._user = parts.username
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.silent = False

    async def start(self) -> str:
        """The DSN of the server behind it."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return f"postgresql://{self._user}@127.0.0.1:{port}{self._database}"

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
async def proxy(postgres_url: str) -> AsyncIterator[Proxy]:
    one = Proxy(postgres_url)
    yield one
    await one.stop()


@pytest.fixture
async def far(proxy: Proxy, driver_with) -> PostgresDriver:
    """A connected driver behind the proxy."""
    driver = driver_with(postgres_dsn=SecretStr(await proxy.start()))
    await driver.connect()
    return driver


@pytest.fixture
async def unowned() -> list[dict[str, Any]]:
    """What the event loop is left with: errors that nobody took."""
    found: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context))
    return found


async def disconnect(driver: PostgresDriver) -> float:
    """The seconds that it took."""
    started = time.monotonic()
    await driver.disconnect()
    return time.monotonic() - started


async def listening(driver: PostgresDriver) -> None:
    async with asyncio.timeout(10):
        while not driver.session.listener.listening:
            await asyncio.sleep(0.01)


async def left_behind(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """The driver's tasks that are there still, after a turn of the loop."""
    gc.collect()
    await asyncio.sleep(0.05)
    return {task for task in asyncio.all_tasks() - before if "Proxy" not in repr(task)}


async def test_news_that_cannot_be_told_are_given_up(far, proxy, queue, unowned) -> None:
    before = asyncio.all_tasks()
    while far.session.throttle.at_once([(queue, 0.0)]):
        pass
    await far.enqueue([Message("1", queue, b"")])
    proxy.silent = True
    assert await disconnect(far) < CLOSE_LIMIT + SLACK
    assert await left_behind(before) == set()
    assert unowned == []


async def test_a_worker_with_everything_under_way_lets_go(far, proxy, queue, unowned) -> None:
    before = asyncio.all_tasks()
    await far.enqueue([Message(str(number), queue, b"") for number in range(9)])
    held = await far.dequeue([queue], limit=9, lease=30, wait=0)
    waiting = asyncio.ensure_future(far.dequeue([f"{queue}-2"], limit=1, lease=30, wait=60))
    await listening(far)
    while far.session.throttle.at_once([(queue, 0.0)]):
        pass
    await far.enqueue([Message("more", queue, b"")])
    proxy.silent = True
    done = [Settlement(one, Outcome.DONE) for one in held]
    calls = [waiting, *(asyncio.ensure_future(far.settle([one])) for one in done)]
    await asyncio.sleep(0.05)
    assert await disconnect(far) < CLOSE_LIMIT + SLACK
    async with asyncio.timeout(5):
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, BrokerError) for result in results)
    assert await left_behind(before) == set()
    assert unowned == []


async def test_a_listener_that_connects_is_given_up(far, proxy, queue, unowned) -> None:
    before = asyncio.all_tasks()
    waiting = asyncio.ensure_future(far.dequeue([queue], limit=1, lease=30, wait=60))
    await listening(far)
    proxy.silent = True
    for writer in list(proxy._writers):
        writer.transport.abort()  # the listener connects again, and nobody answers
    async with asyncio.timeout(10):
        while far.session.listener.listening:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    assert await disconnect(far) < CLOSE_LIMIT + SLACK
    with suppress(BrokerError):
        async with asyncio.timeout(5):
            await waiting
    assert await left_behind(before) == set()
    assert unowned == []


async def test_a_disconnect_from_a_server_that_answers_is_quick(far, queue) -> None:
    await far.enqueue([Message("1", queue, b"")])
    waiting = asyncio.ensure_future(far.dequeue([f"{queue}-2"], limit=1, lease=30, wait=60))
    await listening(far)
    assert await disconnect(far) < 1
    with pytest.raises(BrokerError):
        await waiting
