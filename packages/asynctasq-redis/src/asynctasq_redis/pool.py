"""A pool of connections to one server, on which several commands take one round trip."""

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

#: Seconds in which an exchange must be through: a peer that is gone without a word never answers.
EXCHANGE_LIMIT = 15.0
#: Seconds in which a connection must be closed.
CLOSE_LIMIT = 3.0

#: Its own annotation says: a tuple of one, and nothing of what it returns.
_pack = cast(Callable[[tuple[Argument, ...]], bytes], pack_command)


class Link(Protocol):
    """What is used of redis-py's connections."""

    @property
    def is_connected(self) -> bool:
        """Whether it was connected, and not disconnected by us."""
        ...

    async def connect(self) -> None:
        """Connect, unless it is connected."""
        ...

    async def disconnect(self, nowait: bool = False) -> None:
        """Let go; connecting again is possible."""
        ...

    async def send_packed_command(self, command: list[bytes], check_health: bool = True) -> None:
        """Send them."""
        ...

    async def read_response(self) -> Any:
        """The next reply."""
        ...


class Pool:
    """At most `limit` connections that `make` makes, used again while they last."""

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
                await self._distrust_idle()
                raise
            if self._closed:
                await link.disconnect()
            else:
                self._idle.append(link)
            return replies

    async def _distrust_idle(self) -> None:
        """Drop them: where one is gone without a word, each of the others would cost its limit."""
        idle, self._idle = self._idle, []
        for link in idle:
            await link.disconnect(nowait=True)

    async def close(self) -> None:
        """Close idle connections now, and the others after their exchange."""
        self._closed = True
        while self._idle:
            await let_go(self._idle.pop().disconnect())


async def let_go(closing: Awaitable[object]) -> None:
    """Await the end of what is not needed any more; never raises, and takes seconds at most."""
    try:
        async with asyncio.timeout(CLOSE_LIMIT):
            await closing
    except Exception:
        # it may be broken in any way: the client library raises what its transports raise
        logger.debug("a connection to Redis was not closed in order", exc_info=True)


async def exchange(link: Link, commands: Sequence[Command]) -> list[object]:
    """Send `commands` on `link` and read a reply for each; cut off, it disconnects."""
    try:
        async with asyncio.timeout(EXCHANGE_LIMIT):
            await refresh(link)
            with resets():
                await link.send_packed_command(packed(commands), check_health=False)
            replies = [await _reply(link) for _ in commands]
            if any(is_from_a_replica(reply) for reply in replies):
                await link.disconnect(nowait=True)  # the name may lead to the new master by now
            return replies
    except BaseException:
        await link.disconnect(nowait=True)  # a reply may follow that nobody waits for
        raise


def packed(commands: Sequence[Command]) -> list[bytes]:
    """The bytes to send, by hiredis: redis-py's own take four times as long."""
    return [b"".join(_pack(tuple(command)) for command in commands)]


async def refresh(link: Link) -> bool:
    """Connect `link` if it is not, or not any more, and tell whether that was so."""
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
    # redis-py renamed it in version 8: at the end of its stream, a connection "can be read".
    can_read = getattr(link, "can_read", None) or link.can_read_destructive
    try:
        return await can_read()
    except (ConnectionError, OSError):
        return True
