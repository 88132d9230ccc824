"""What a driver has from `connect` to `disconnect`."""

import asyncio
import math
import time
from collections.abc import Iterable, Sequence
from itertools import count
from secrets import token_hex

from redis.exceptions import RedisClusterException, RedisError

from asynctasq.drivers.shield import Shield
from asynctasq.errors import BrokerUnavailable
from asynctasq_redis.connection import connections
from asynctasq_redis.errors import translate_errors, translated
from asynctasq_redis.health import check_server
from asynctasq_redis.keys import Keys
from asynctasq_redis.scripts import Call, Plain, replies_of
from asynctasq_redis.settings import RedisSettings
from asynctasq_redis.waiter import Waiter

#: Seconds in which a server must be found, or not.
CONNECT_LIMIT = 6.0
#: Seconds in which calls that were started must end after `Session.close`.
CLOSE_LIMIT = 3.0
#: Seconds after which the name of a queue in use is written to the set of queues again.
REGISTER_EVERY = 60.0

_ERRORS = (RedisError, RedisClusterException, OSError)


class Session:
    """Connections, whoever waits on them, and calls that must not be cut off."""

    def __init__(self, settings: RedisSettings) -> None:
        self.location = settings.location()
        self.keys = Keys(settings.redis_prefix)
        self.connections = connections(settings)
        self.waiter = Waiter(self.connections, self.keys)
        self.shield = Shield()
        self.closing = False
        self._name = token_hex(6)
        self._numbers = count(1)
        self._registered: dict[str, float] = {}

    async def open(self) -> None:
        """Connect and look at the server; what is open after a failure is for `close`."""
        with translate_errors(self.location):
            async with asyncio.timeout(CONNECT_LIMIT):
                await self.connections.open()
                await check_server(self.connections, self.location)

    async def close(self) -> None:
        """End what runs, and let go of the server."""
        self.closing = True
        self.waiter.stop()
        await self.shield.close(CLOSE_LIMIT)
        await self.waiter.close()
        with translate_errors(self.location):
            await self.connections.close()

    async def replies(self, calls: Sequence[Call | Plain]) -> list[object]:
        """The reply of each call, with a `BrokerError` in the place of those that failed."""
        with translate_errors(self.location):
            replies = await replies_of(self.connections, calls)
        for i, reply in enumerate(replies):
            if isinstance(reply, _ERRORS):
                replies[i] = translated(reply, self.location)
        return replies

    async def call(self, *calls: Call | Plain) -> list[object]:
        """The replies, all in one round trip; raises if one of them failed."""
        replies = await self.replies(calls)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def register(self, queues: Iterable[str]) -> list[Plain]:
        """The command that makes queues known which were not used lately, if any."""
        now = time.monotonic()
        fresh = [name for name in queues if self._registered.get(name, -math.inf) < now]
        self._registered.update(dict.fromkeys(fresh, now + REGISTER_EVERY))
        return [Plain(("SADD", self.keys.queues, *fresh))] if fresh else []

    def next_token(self) -> str:
        """A token no other claim has: what tells a lease from earlier ones of the same message."""
        return f"{self._name}-{next(self._numbers)}"

    def check_open(self) -> None:
        """Raise unless it may be used."""
        if self.closing:
            raise BrokerUnavailable("the driver was disconnected")
