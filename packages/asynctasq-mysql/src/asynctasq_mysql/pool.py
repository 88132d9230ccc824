"""A pool of connections to one server."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from asynctasq_mysql.connection import Link
from asynctasq_mysql.url import Target


class Pool:
    """At most `limit` connections, used again while they last."""

    def __init__(self, target: Target, limit: int) -> None:
        self._target = target
        self._slots = asyncio.Semaphore(limit)
        self._idle: list[Link] = []
        self._closed = False

    async def open(self, count: int) -> None:
        """Open so many connections now."""
        while len(self._idle) < count:
            self._idle.append(await self._new())

    @asynccontextmanager
    async def link(self) -> AsyncGenerator[Link]:
        """A connection for the block; after an error there it is dropped, which rolls back."""
        async with self._slots:
            link = self._open_idle() or await self._new()
            try:
                yield link
            except BaseException as error:
                link.abort()
                if isinstance(error, TimeoutError):
                    self._distrust_idle()
                raise
            if self._closed:
                await link.close()
            else:
                self._idle.append(link)

    async def close(self) -> None:
        """Close idle connections now, and the others after their use."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(link.close() for link in idle))

    def _distrust_idle(self) -> None:
        """Drop them: where one is gone without a word, each of the others would cost its limit."""
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
