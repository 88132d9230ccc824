"""A pool of connections to one server; several commands take one round trip."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, cast

from hiredis import pack_command  # pyright: ignore[reportUnknownVariableType]
from redis.exceptions import ConnectionError, ResponseError

from asynctasq.drivers.connection_reset import resets
from asynctasq_redis.errors import is_from_a_replica
from asynctasq_redis.scripts import Argument, Command

logger = logging.getLogger("asynctasq.redis")

#: Time limit of an exchange in seconds: a half-open connection never answers.
EXCHANGE_LIMIT = 15.0
#: Time limit in seconds for closing a connection.
CLOSE_LIMIT = 3.0

#: hiredis annotates a tuple of one item, and no return type.
_pack = cast(Callable[[tuple[Argument, ...]], bytes], pack_command)


class Link(Protocol):
    """The part of redis-py's connections that the driver uses."""

    @property
    def is_connected(self) -> bool:
        """Whether it was connected, and not disconnected from this side."""
        ...

    async def connect(self) -> None:
        """Connect, unless it is connected."""
        ...

    async def disconnect(self, nowait: bool = False) -> None:
        """Disconnect; connecting again is possible."""
        ...

    async def send_packed_command(self, command: list[bytes], check_health: bool = True) -> None:
        """Send packed commands."""
        ...

    async def read_response(self) -> Any:
        """The next reply."""
        ...


class Pool:
    """Up to `limit` connections, created by `make` and reused."""

    def __init__(self, make: Callable[[], Link], limit: int) -> None:
        self._make = make
        self._slots = asyncio.Semaphore(limit)
        self._idle: list[Link] = []
        self._closed = False

    async def run(self, commands: Sequence[Command]) -> list[object]:
        """The replies in order, with a `ResponseError` where the server refused."""
        async with self._slots:
            link = self._idle.pop() if self._idle else self._make()
            try:
                replies = await exchange(link, commands)
            except TimeoutError:
                await self._drop_idle()
                raise
            if self._closed:
                await link.disconnect()
            else:
                self._idle.append(link)
            return replies

    async def _drop_idle(self) -> None:
        """Drop idle connections after a timeout: the others may be half-open, too."""
        idle, self._idle = self._idle, []
        for link in idle:
            await link.disconnect(nowait=True)

    async def close(self) -> None:
        """Close idle connections now, and the others after their exchange."""
        self._closed = True
        while self._idle:
            await let_go(self._idle.pop().disconnect())


async def let_go(closing: Awaitable[object]) -> None:
    """Await `closing` for up to `CLOSE_LIMIT` seconds; never raises."""
    try:
        async with asyncio.timeout(CLOSE_LIMIT):
            await closing
    except Exception:  # redis-py passes on any error of a broken transport
        logger.debug("a connection to Redis was not closed in order", exc_info=True)


async def exchange(link: Link, commands: Sequence[Command]) -> list[object]:
    """Send `commands` on `link` and read a reply for each; disconnect after any error."""
    try:
        async with asyncio.timeout(EXCHANGE_LIMIT):
            await refresh(link)
            with resets():
                await link.send_packed_command(packed(commands), check_health=False)
            replies = [await _reply(link) for _ in commands]
            if any(is_from_a_replica(reply) for reply in replies):
                await link.disconnect(nowait=True)  # the next connection may reach the new master
            return replies
    except BaseException:  # disconnected, and raised again
        await link.disconnect(nowait=True)  # an unread reply may follow
        raise


def packed(commands: Sequence[Command]) -> list[bytes]:
    """Pack commands by hiredis, four times as fast as redis-py's own code."""
    return [b"".join(_pack(tuple(command)) for command in commands)]


async def refresh(link: Link) -> bool:
    """Connect `link` if it is not connected, or stale; return whether it connected."""
    if link.is_connected and await _is_stale(link):
        await link.disconnect(nowait=True)
    if link.is_connected:
        return False
    await link.connect()
    return True


async def _reply(link: Link) -> object:
    try:
        return await link.read_response()
    except ResponseError as error:
        return error


async def _is_stale(link: Any) -> bool:
    # Renamed in redis-py 8. A connection at the end of its stream is readable.
    can_read = getattr(link, "can_read", None) or link.can_read_destructive
    try:
        return await can_read()
    except (ConnectionError, OSError):
        return True
