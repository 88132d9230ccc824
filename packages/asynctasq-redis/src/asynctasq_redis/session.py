"""The state of a connected driver, from `connect` to `disconnect`."""

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

#: Connect timeout in seconds.
CONNECT_LIMIT = 6.0
#: Time limit in seconds for running calls after `Session.close`.
CLOSE_LIMIT = 3.0


class Session:
    """Connections, waiting dequeues, and shielded calls."""

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
        """Connect and check the server; after a failure, `close` closes open connections."""
        with translate_errors(self.location):
            async with asyncio.timeout(CONNECT_LIMIT):
                await self.connections.open()
                await check_server(self.connections, self.location)

    async def close(self) -> None:
        """End running calls and waits, and disconnect; never raises."""
        self.closing = True
        self.waiter.stop()
        await self.shield.close(CLOSE_LIMIT)
        await self.waiter.close()
        await self.connections.close()

    async def replies(self, calls: Sequence[Call | Plain]) -> list[object]:
        """The reply of each call, with a `BrokerError` in the place of a failed reply."""
        with translate_errors(self.location):
            replies = await replies_of(self.connections, calls)
        for i, reply in enumerate(replies):
            if isinstance(reply, REDIS_ERRORS):
                error = replies[i] = translated(reply, self.location)
                error.__cause__ = reply
        return replies

    async def call(self, *calls: Call | Plain) -> list[object]:
        """The replies, in one round trip; raises the first error."""
        replies = await self.replies(calls)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def note_failure(self, queues: Iterable[str], error: BrokerError) -> None:
        """Raise `error` at the next claim from `queues`: the current claim has messages."""
        self._failures.update(dict.fromkeys(queues, error))

    def raise_failure(self, queues: Iterable[str]) -> None:
        """Raise the noted error of one of `queues`."""
        errors = [self._failures.pop(queue, None) for queue in queues] if self._failures else []
        for error in errors:
            if error is not None:
                raise error

    def next_token(self) -> str:
        """A unique token of a claim, which distinguishes successive leases of a message."""
        return f"{self._name}-{next(self._numbers)}"

    def check_open(self) -> None:
        """Raise `BrokerUnavailable` after `close`."""
        if self.closing:
            raise BrokerUnavailable("the driver was disconnected")
