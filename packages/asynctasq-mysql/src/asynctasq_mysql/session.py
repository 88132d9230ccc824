"""The state of a driver between `connect` and `disconnect`."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import pymysql

from asynctasq.drivers.shield import Shield
from asynctasq.errors import BrokerUnavailable
from asynctasq_mysql.connect_check import check_tables, check_version, max_allowed_packet
from asynctasq_mysql.connection import Link, Row
from asynctasq_mysql.enqueue import max_body
from asynctasq_mysql.errors import is_conflict, translate_errors
from asynctasq_mysql.poll_interval import PollInterval
from asynctasq_mysql.pool import Pool
from asynctasq_mysql.settings import MySQLSettings
from asynctasq_mysql.wake import waiters_of

#: Retries of a transaction after a conflict, and the first pause in seconds.
CONFLICT_TRIES = 8
CONFLICT_PAUSE = 0.005
#: Seconds that running claims have to finish in `Session.close`.
CLOSE_LIMIT = 1.5

T = TypeVar("T")


class Session:
    """Connections, waiting dequeues, and claims that must run to their end.

    Attributes:
        backlog: the latest claim reached its limit, so that more messages are likely.
        max_body: longest body in bytes that the server accepts; set by `open`.
    """

    def __init__(self, settings: MySQLSettings) -> None:
        self.location = settings.location()
        self.tables = settings.tables()
        self.waiters = waiters_of(self.location, self.tables.queue)
        self.shield = Shield()
        self.poll_interval = PollInterval()
        self.closing = False
        self.backlog = False
        self.max_body = 0
        self._pool = Pool(settings.target(), settings.mysql_max_pool_size)
        self._opened_at_once = settings.mysql_min_pool_size

    async def open(self) -> None:
        """Connect, and check the server and its tables."""
        with translate_errors(self.location):
            await self._pool.open(self._opened_at_once)
        await self.run(self._check)

    async def close(self) -> None:
        """Finish running claims, and close all connections."""
        self.closing = True
        await self.shield.close(CLOSE_LIMIT)
        await self._pool.close()

    async def run(self, work: Callable[[Link], Awaitable[T]]) -> T:
        """Run `work` on a connection, again after a deadlock, and return its result."""
        with translate_errors(self.location):
            for retry in range(CONFLICT_TRIES):
                try:
                    return await self._once(work)
                except pymysql.Error as error:
                    if not is_conflict(error):
                        raise
                await asyncio.sleep(random.uniform(0, CONFLICT_PAUSE * 2**retry))
            return await self._once(work)

    async def query(self, sql: str) -> list[Sequence[Row]]:
        """Run the statements in `sql`, separated by ``;``, and return the rows of each."""
        return await self.run(lambda link: link.run(sql))

    def check_open(self) -> None:
        """Raise `BrokerUnavailable` after `close`."""
        if self.closing:
            raise BrokerUnavailable("the driver was disconnected")

    async def _check(self, link: Link) -> None:
        await check_version(link, self.location)
        await check_tables(link, self.tables, self.location)
        self.max_body = max_body(await max_allowed_packet(link))

    async def _once(self, work: Callable[[Link], Awaitable[T]]) -> T:
        async with self._pool.link() as link:
            return await work(link)
