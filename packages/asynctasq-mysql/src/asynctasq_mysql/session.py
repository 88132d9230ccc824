"""What a driver has from `connect` to `disconnect`."""

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
from asynctasq_mysql.poll_interval import Pace
from asynctasq_mysql.pool import Pool
from asynctasq_mysql.settings import MySQLSettings
from asynctasq_mysql.wake import waiters_of

#: How often a transaction that met others is tried again, and the seconds of the first pause.
CONFLICT_TRIES = 8
CONFLICT_PAUSE = 0.005
#: Seconds in which claims that were started must end after `Session.close`.
CLOSE_LIMIT = 1.5

T = TypeVar("T")


class Session:
    """Connections, whoever waits for news, and claims that must not be cut off.

    Attributes:
        backlog: the latest claim was filled, so that there is more, in all likelihood.
        max_body: the longest body the server takes, in bytes; known once it is open.
    """

    def __init__(self, settings: MySQLSettings) -> None:
        self.location = settings.location()
        self.tables = settings.tables()
        self.waiters = waiters_of(self.location, self.tables.queue)
        self.shield = Shield()
        self.pace = Pace()
        self.closing = False
        self.backlog = False
        self.max_body = 0
        self._pool = Pool(settings.target(), settings.mysql_max_pool_size)
        self._opened_at_once = settings.mysql_min_pool_size

    async def open(self) -> None:
        """Connect, and look at the server and its tables."""
        with translate_errors(self.location):
            await self._pool.open(self._opened_at_once)
        await self.run(self._look)

    async def close(self) -> None:
        """End what runs, and let go of the server."""
        self.closing = True
        await self.shield.close(CLOSE_LIMIT)
        await self._pool.close()

    async def run(self, work: Callable[[Link], Awaitable[T]]) -> T:
        """The result of `work` on a connection; work that met a deadlock is done again."""
        with translate_errors(self.location):
            for number in range(CONFLICT_TRIES):
                try:
                    return await self._once(work)
                except pymysql.Error as error:
                    if not is_conflict(error):
                        raise
                await asyncio.sleep(random.uniform(0, CONFLICT_PAUSE * 2**number))
            return await self._once(work)

    async def query(self, sql: str) -> list[Sequence[Row]]:
        """The rows of each statement in `sql`, which are divided by ``;``."""
        return await self.run(lambda link: link.run(sql))

    def check_open(self) -> None:
        """Raise unless it may be used."""
        if self.closing:
            raise BrokerUnavailable("the driver was disconnected")

    async def _look(self, link: Link) -> None:
        await check_version(link, self.location)
        await check_tables(link, self.tables, self.location)
        self.max_body = max_body(await max_allowed_packet(link))

    async def _once(self, work: Callable[[Link], Awaitable[T]]) -> T:
        async with self._pool.link() as link:
            return await work(link)
