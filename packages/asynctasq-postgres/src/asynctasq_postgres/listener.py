"""The connection on which PostgreSQL tells of new messages.

A waiting worker relies on it, so it is proved when it opens, by a notification from another
connection, and probed while it is quiet. What cannot be told while it is away is made up for: all
who wait look again when it is back, and look by themselves in between.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import uuid4

from asynctasq_postgres.errors import FAILURES
from asynctasq_postgres.pool import Connection
from asynctasq_postgres.wake import Waiters

logger = logging.getLogger("asynctasq.postgres")

#: Seconds between two looks of a waiting worker that is told of new messages.
QUIET_LOOK = 5.0
#: Seconds of silence after which the connection is probed, and in which it must answer.
PROBE_AFTER = 15.0
PROBE_LIMIT = 5.0
#: Seconds between two tries to connect: the first, and the longest.
RETRY_FIRST, RETRY_LONGEST = 0.1, 10.0


class _Deaf(Exception):
    """Notifications do not arrive on this connection."""


class Listener:
    """Keeps a connection that listens on `channel`, from `start` to `close`."""

    def __init__(
        self, connect: Callable[[], Awaitable[Connection]], channel: str, waiters: Waiters
    ) -> None:
        self._connect = connect
        self._channel = channel
        self._waiters = waiters
        self._task: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._closed = asyncio.Event()
        self._proof = f"proof:{uuid4()}"
        self._proved = asyncio.Event()
        self.hears = False

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End the connection."""
        if self._task is not None:
            if self._connection is not None:
                self._connection.terminate()  # before: a statement is to fail, not to be cancelled
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _run(self) -> None:
        pause = RETRY_FIRST
        while True:
            try:
                await self._listen()
                pause = RETRY_FIRST
            except _Deaf:
                logger.warning(
                    "notifications of PostgreSQL do not arrive, so workers look for messages from"
                    " time to time; behind a pooler, set postgres_notify to false"
                )
                return
            except FAILURES as error:
                logger.debug("cannot listen to PostgreSQL just now: %s", error)
                pause = min(2 * pause, RETRY_LONGEST)
            await asyncio.sleep(pause * random.uniform(0.5, 1))

    async def _listen(self) -> None:
        connection = self._connection = await self._connect()
        try:
            self._closed.clear()
            connection.add_termination_listener(self._on_close)
            await connection.add_listener(self._channel, self._on_news)
            await self._prove()
            self.hears = True
            self._waiters.tell_all()  # of what came before
            while not await _is_set_within(self._closed, PROBE_AFTER):
                await connection.execute("SELECT 1", timeout=PROBE_LIMIT)
        finally:
            self.hears, self._connection = False, None
            connection.terminate()
            self._waiters.tell_all()  # to look by themselves from now on

    async def _prove(self) -> None:
        self._proved.clear()
        other = await self._connect()  # its own one would arrive even through a pooler
        try:
            await other.execute(f"NOTIFY \"{self._channel}\", '{self._proof}'")
        finally:
            other.terminate()
        if not await _is_set_within(self._proved, PROBE_LIMIT):
            raise _Deaf

    def _on_close(self, *_: object) -> None:
        self._closed.set()

    def _on_news(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        if payload == self._proof:
            self._proved.set()
            return
        milliseconds, _, queue = payload.partition(":")
        with suppress(ValueError):  # somebody else's, or the proof of another listener
            self._waiters.tell(queue, int(milliseconds) / 1000)


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
