"""A pool of connections to one server."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from asynctasq_mysql.connection import Link
from asynctasq_mysql.url import Target


class Pool:
    """At most `limit` connections, reused while they stay open."""

    def __init__(self, target: Target, limit: int) -> None:
        self._target = target
        self._slots = asyncio.Semaphore(limit)
        self._idle: list[Link] = []
        self._closed = False

    async def open(self, count: int) -> None:
        """Open `count` connections now."""
        while len(self._idle) < count:
            self._idle.append(await self._new())

    @asynccontextmanager
    async def link(self) -> AsyncGenerator[Link]:
        """Lend a connection to the block; an error in the block drops it, which rolls back."""
        async with self._slots:
            link = self._open_idle() or await self._new()
            try:
                yield link
            except BaseException as error:  # aborted, and raised again
                link.abort()
                if isinstance(error, TimeoutError):
                    self._drop_idle()
                raise
            if self._closed:
                await link.close()
            else:
                self._idle.append(link)

    async def close(self) -> None:
        """Close idle connections now, and those in use when they are returned."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(link.close() for link in idle))

    def _drop_idle(self) -> None:
        """Drop idle connections: after one timeout, each of them could cost another."""
        while self._idle:
            self._idle.pop().abort()

    def _open_idle(self) -> Link | None:
        while self._idle:
            link = self._idle.pop()
            if link.is_open():
                return link
            link.abort()
        return None

    async def _new(self) -> Link:
        link = Link(self._target)
        await link.open()
        return link
