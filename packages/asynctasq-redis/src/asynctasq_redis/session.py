"""What a driver has from `connect` to `disconnect`."""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import count
from secrets import token_hex

from asynctasq.drivers.shield import Shield
from asynctasq.errors import BrokerError, BrokerUnavailable
from asynctasq_redis.connect_check import check_server
from asynctasq_redis.connection import connections
from asynctasq_redis.errors import REDIS_ERRORS, translate_errors, translated
from asynctasq_redis.listing import Listing
from asynctasq_redis.lost_claims import LostClaims
from asynctasq_redis.names import Keys
from asynctasq_redis.scripts import Call, Plain, replies_of
from asynctasq_redis.settings import RedisSettings
from asynctasq_redis.wake import Waiter

#: Seconds in which a server must be found, or not.
CONNECT_LIMIT = 6.0
#: Seconds in which calls that were started must end after `Session.close`.
CLOSE_LIMIT = 3.0


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
        self._failures: dict[str, BrokerError] = {}
        self.lost_claims = LostClaims(self.keys, self.replies)
        one_place = self.connections.one_place
        self.listing = Listing(self.keys, self.replies, one_place=one_place)

    async def open(self) -> None:
        """Connect and look at the server; what is open after a failure is for `close`."""
        with translate_errors(self.location):
            async with asyncio.timeout(CONNECT_LIMIT):
                await self.connections.open()
                await check_server(self.connections, self.location)

    async def close(self) -> None:
        """End what runs, and let go of the server; never raises."""
        self.closing = True
        self.waiter.stop()
        await self.shield.close(CLOSE_LIMIT)
        await self.waiter.close()
        await self.connections.close()

    async def replies(self, calls: Sequence[Call | Plain]) -> list[object]:
        """The reply of each call, with a `BrokerError` in the place of those that failed."""
        with translate_errors(self.location):
            replies = await replies_of(self.connections, calls)
        for i, reply in enumerate(replies):
            if isinstance(reply, REDIS_ERRORS):
                error = replies[i] = translated(reply, self.location)
                error.__cause__ = reply
        return replies

    async def call(self, *calls: Call | Plain) -> list[object]:
        """The replies, all in one round trip; raises if one of them failed."""
        replies = await self.replies(calls)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def note_failure(self, queues: Iterable[str], error: BrokerError) -> None:
        """Raise `error` at the next claim from one of `queues`: this one has other messages."""
        self._failures.update(dict.fromkeys(queues, error))

    def raise_failure(self, queues: Iterable[str]) -> None:
        """Raise the error of the claim before, if one of `queues` had one."""
        errors = [self._failures.pop(queue, None) for queue in queues] if self._failures else []
        for error in errors:
            if error is not None:
                raise error

    def next_token(self) -> str:
        """A token no other claim has: what tells a lease from earlier ones of the same message."""
        return f"{self._name}-{next(self._numbers)}"

    def check_open(self) -> None:
        """Raise unless it may be used."""
        if self.closing:
            raise BrokerUnavailable("the driver was disconnected")
