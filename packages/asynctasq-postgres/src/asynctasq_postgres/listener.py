"""Receives notifications (LISTEN) on a connection of its own, and wakes waiting dequeues.

Waiting workers rely on the connection, so it is tested when it opens, by a notification from
another connection, and probed while it is idle. While it is lost, workers poll; when it is
restored, all waiting dequeues poll once, for the notifications missed in between.
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

#: Seconds between the polls of a waiting worker while notifications arrive.
POLL_WHEN_LISTENING = 5.0
#: Seconds between probes of the connection, and seconds within which the server must answer.
PROBE_AFTER = 15.0
PROBE_LIMIT = 5.0
#: Seconds before the connection is retried: the first pause, and the longest.
RETRY_FIRST, RETRY_LONGEST = 0.1, 10.0


class _NotDelivered(Exception):
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
        self.listening = False

    def start(self) -> None:
        """Start listening, unless started."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop listening, and close the connection."""
        if self._task is not None:
            if self._connection is not None:
                # first: a running statement fails instead of being cancelled
                self._connection.terminate()
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _run(self) -> None:
        pause = RETRY_FIRST
        while True:
            try:
                await self._listen()
                pause = RETRY_FIRST
            except _NotDelivered:
                logger.warning(
                    "notifications of PostgreSQL do not arrive, so workers poll for messages;"
                    " behind a pooler, set postgres_notify to false"
                )
                return
            except FAILURES as error:
                logger.debug("cannot listen for notifications of PostgreSQL: %s", error)
                pause = min(2 * pause, RETRY_LONGEST)
            await asyncio.sleep(pause * random.uniform(0.5, 1))

    async def _listen(self) -> None:
        connection = self._connection = await self._connect()
        try:
            self._closed.clear()
            connection.add_termination_listener(self._on_close)
            await connection.add_listener(self._channel, self._on_notification)
            await self._prove()
            self.listening = True
            self._waiters.wake_all()  # for earlier messages
            while not await _is_set_within(self._closed, PROBE_AFTER):
                await connection.execute("SELECT 1", timeout=PROBE_LIMIT)
        finally:
            self.listening, self._connection = False, None
            connection.terminate()
            self._waiters.wake_all()  # they poll more often from now on

    async def _prove(self) -> None:
        self._proved.clear()
        other = await self._connect()  # its own notification would arrive even through a pooler
        try:
            await other.execute(f"NOTIFY \"{self._channel}\", '{self._proof}'")
        finally:
            other.terminate()
        if not await _is_set_within(self._proved, PROBE_LIMIT):
            raise _NotDelivered

    def _on_close(self, *_: object) -> None:
        self._closed.set()

    def _on_notification(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        if payload == self._proof:
            self._proved.set()
            return
        milliseconds, _, queue = payload.partition(":")
        with suppress(ValueError):  # a foreign payload, or the proof of another listener
            self._waiters.wake(queue, int(milliseconds) / 1000)


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
