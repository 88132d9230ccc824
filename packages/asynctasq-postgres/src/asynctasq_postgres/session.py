"""What a driver has from `connect` to `disconnect`."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

from asynctasq.drivers.connection_reset import resets
from asynctasq.drivers.shield import Shield
from asynctasq.errors import BrokerRejected, BrokerUnavailable
from asynctasq_postgres.errors import AGAIN, FAILURES, sqlstate, translate_errors
from asynctasq_postgres.listener import QUIET_LOOK, Listener
from asynctasq_postgres.notify import News
from asynctasq_postgres.pool import Connection, Pool, Row, open_connection, open_pool
from asynctasq_postgres.schema import check_schema
from asynctasq_postgres.settings import PostgresSettings
from asynctasq_postgres.wake import Waiters

OLDEST = 13
#: Seconds in which a call gets a connection.
ACQUIRE_LIMIT = 30.0
#: Seconds that calls have to end after `Session.close`, whatever the server does, and what each
#: step after them may take.
CLOSE_LIMIT = 1.5
ENDING = 0.25
#: How often a statement is tried that lost against another one.
TRIES = 5


class Session:
    """Connections, and who waits for messages."""

    def __init__(self, settings: PostgresSettings) -> None:
        self.settings = settings
        self.location = settings.location()
        self.names = settings.names()
        self.shield = Shield()
        self.waiters = Waiters()
        self.news = News(self._tell_others)
        self.listener = Listener(
            partial(open_connection, settings), self.names.channel, self.waiters
        )
        self.closing = False
        self._pool: Pool | None = None

    async def open(self) -> None:
        """Connect, and look whether the tables are there."""
        with translate_errors(self.location):
            self._pool = await open_pool(self.settings)
            async with self._pool.acquire(timeout=ACQUIRE_LIMIT) as connection:
                check_version(connection, self.location)
                await check_schema(connection, self.names, self.location)

    async def close(self) -> None:
        """End what runs, and let go of the server."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CLOSE_LIMIT
        # not by cancelling what waits for an answer: asyncpg would ask the server to do the same
        alarm = loop.call_at(deadline, self._terminate)
        try:
            await self.news.close()
            self.closing = True
            self.waiters.tell_all()
            left = deadline + ENDING - loop.time()
            await asyncio.gather(self.listener.close(), self.shield.close(left))
            if self._pool is not None:
                await _close(self._pool)
        finally:
            alarm.cancel()

    async def call(self, sql: str, *arguments: object) -> Sequence[Row]:
        """The rows of one statement, which comes to its end also when the caller is cancelled."""
        return await self.shield.run(self.rows(sql, *arguments))

    async def store(
        self, news: Sequence[tuple[str, float]], sql: str, *arguments: object
    ) -> Sequence[Row]:
        """The rows of a statement that makes `news`: queues with messages, and their delays.

        Its last parameter, which is added here, is whether to tell others of them.
        """
        return await self.shield.run(self._store(news, sql, arguments))

    async def _store(
        self, news: Sequence[tuple[str, float]], sql: str, arguments: Sequence[object]
    ) -> Sequence[Row]:
        tell = self.settings.postgres_notify and self.news.at_once(news)
        rows = await self.rows(sql, *arguments, tell)
        for queue, delay in news:
            self.waiters.tell(queue, delay)
        if self.settings.postgres_notify and not tell:
            self.news.soon(news)
        return rows

    async def rows(self, sql: str, *arguments: object) -> Sequence[Row]:
        """The same, for a caller that is shielded already."""
        statement = self.names.fill(sql)
        for number in range(1, TRIES + 1):
            try:
                with translate_errors(self.location):
                    return await self._fetch(statement, arguments)
            except BrokerUnavailable as error:
                if number == TRIES or sqlstate(error) not in AGAIN:
                    raise
                await asyncio.sleep(random.uniform(0, 0.01 * 2**number))
        raise AssertionError

    @property
    def pool(self) -> Pool:
        """The connections that calls share; raises `BrokerUnavailable` after `close`."""
        if self._pool is None or self.closing:
            raise BrokerUnavailable("the driver was disconnected")
        return self._pool

    def listen(self) -> float:
        """Be told of messages; the seconds after which to look for some all the same."""
        if self.settings.postgres_notify:
            self.listener.start()
            if self.listener.hears:
                return QUIET_LOOK
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
                connection.terminate()  # a reply may follow that nobody waits for
                if isinstance(error, TimeoutError):
                    # gone without a word, and the others likewise: each would cost the limit
                    await self.pool.expire_connections()
                raise

    async def _tell_others(self, news: Mapping[str, float]) -> None:
        await self.call("SELECT {tell}($1, $2)", list(news), list(news.values()))


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
