"""The state of a connected driver: its connections, its waiters and its listener."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

from asynctasq.drivers.connection_reset import resets
from asynctasq.drivers.shield import Shield
from asynctasq.errors import BrokerRejected, BrokerUnavailable
from asynctasq_postgres.errors import AGAIN, FAILURES, sqlstate, translate_errors
from asynctasq_postgres.listener import POLL_WHEN_LISTENING, Listener
from asynctasq_postgres.notify import NotifyThrottle
from asynctasq_postgres.pool import Connection, Pool, Row, open_connection, open_pool
from asynctasq_postgres.schema import check_schema
from asynctasq_postgres.settings import PostgresSettings
from asynctasq_postgres.wake import Waiters

OLDEST = 13
#: Seconds within which a call gets a connection.
ACQUIRE_LIMIT = 30.0
#: Seconds within which calls end after `Session.close`, even if the server does not answer, and
#: the seconds that each step after them may take.
CLOSE_LIMIT = 1.5
ENDING = 0.25
#: Attempts of a statement that fails by a deadlock or a serialization conflict.
TRIES = 5


class Session:
    """Connections, waiting dequeues, and calls that must not be interrupted."""

    def __init__(self, settings: PostgresSettings) -> None:
        self.settings = settings
        self.location = settings.location()
        self.names = settings.names()
        self.shield = Shield()
        self.waiters = Waiters()
        self.throttle = NotifyThrottle(self._notify)
        self.listener = Listener(
            partial(open_connection, settings), self.names.channel, self.waiters
        )
        self.closing = False
        self._pool: Pool | None = None

    async def open(self) -> None:
        """Connect, and check the version and the schema."""
        with translate_errors(self.location):
            self._pool = await open_pool(self.settings)
            async with self._pool.acquire(timeout=ACQUIRE_LIMIT) as connection:
                check_version(connection, self.location)
                await check_schema(connection, self.names, self.location)

    async def close(self) -> None:
        """End all calls and connections, within seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CLOSE_LIMIT
        # terminate statements, not cancel them: asyncpg would send the server a cancel request
        alarm = loop.call_at(deadline, self._terminate)
        try:
            await self.throttle.close()
            self.closing = True
            self.waiters.wake_all()
            remaining = deadline + ENDING - loop.time()
            await asyncio.gather(self.listener.close(), self.shield.close(remaining))
            if self._pool is not None:
                await _close(self._pool)
        finally:
            alarm.cancel()

    async def call(self, sql: str, *arguments: object) -> Sequence[Row]:
        """Run one statement to its end, also when the caller is cancelled; return its rows."""
        return await self.shield.run(self.rows(sql, *arguments))

    async def store(
        self, arrivals: Sequence[tuple[str, float]], sql: str, *arguments: object
    ) -> Sequence[Row]:
        """Run a statement that makes messages deliverable, and wake waiting dequeues.

        `arrivals` are the queues of the messages, each with the seconds until one is due. The
        statement's last parameter, which is added here, is whether it notifies other processes.
        """
        return await self.shield.run(self._store(arrivals, sql, arguments))

    async def _store(
        self, arrivals: Sequence[tuple[str, float]], sql: str, arguments: Sequence[object]
    ) -> Sequence[Row]:
        notify = self.settings.postgres_notify and self.throttle.at_once(arrivals)
        rows = await self.rows(sql, *arguments, notify)
        for queue, delay in arrivals:
            self.waiters.wake(queue, delay)
        if self.settings.postgres_notify and not notify:
            self.throttle.soon(arrivals)
        return rows

    async def rows(self, sql: str, *arguments: object) -> Sequence[Row]:
        """Run one statement, for a caller that is shielded already; return its rows."""
        statement = self.names.fill(sql)
        for attempt in range(1, TRIES + 1):
            try:
                with translate_errors(self.location):
                    return await self._fetch(statement, arguments)
            except BrokerUnavailable as error:
                if attempt == TRIES or sqlstate(error) not in AGAIN:
                    raise
                await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))
        raise AssertionError

    @property
    def pool(self) -> Pool:
        """The shared connections; raises `BrokerUnavailable` after `close`."""
        if self._pool is None or self.closing:
            raise BrokerUnavailable("the driver was disconnected")
        return self._pool

    def listen(self) -> float:
        """Start to listen for notifications, where set; return the seconds until the next poll."""
        if self.settings.postgres_notify:
            self.listener.start()
            if self.listener.listening:
                return POLL_WHEN_LISTENING
        return self.settings.postgres_poll_interval

    def _terminate(self) -> None:
        if self._pool is not None:
            self._pool.terminate()

    async def _fetch(self, statement: str, arguments: Sequence[object]) -> Sequence[Row]:
        async with self.pool.acquire(timeout=ACQUIRE_LIMIT) as connection:
            try:
                with resets():
                    return await connection.fetch(statement, *arguments)
            except (OSError, asyncio.CancelledError) as error:
                connection.terminate()  # its late reply must not answer the next statement
                if isinstance(error, TimeoutError):
                    # probably all connections are dead: each would cost a timeout
                    await self.pool.expire_connections()
                raise

    async def _notify(self, delays: Mapping[str, float]) -> None:
        await self.call("SELECT {tell}($1, $2)", list(delays), list(delays.values()))


def check_version(connection: Connection, location: str) -> None:
    """Raise `BrokerRejected` for a server that is too old."""
    version = connection.get_server_version()[0]
    if version < OLDEST:
        raise BrokerRejected(
            f"PostgreSQL at {location} is version {version}; at least {OLDEST} is needed"
        )


async def _close(pool: Pool) -> None:
    try:
        with suppress(*FAILURES):
            async with asyncio.timeout(ENDING):
                await pool.close()
    finally:
        pool.terminate()
