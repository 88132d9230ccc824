"""The Redis driver: the seam's methods as calls of Lua scripts."""

import asyncio
import math
import time
from collections.abc import Iterable, Sequence
from typing import ClassVar, cast

from asynctasq.drivers import BaseDriver, Delivery, DriverSettings, Limits, Message, Settlement
from asynctasq.errors import BrokerError, BrokerRejected, BrokerUnavailable, EnqueueFailed
from asynctasq_redis.fetch import Fetch, Request
from asynctasq_redis.inspector import RedisInspector
from asynctasq_redis.messages import enqueue_calls, extend_calls, microseconds, settle_calls
from asynctasq_redis.scripts import Call, Plain
from asynctasq_redis.session import Session
from asynctasq_redis.settings import RedisSettings
from asynctasq_redis.workers import RedisWorkers

#: Seconds after which the name of a queue in use is written to the set of queues again.
REGISTER_EVERY = 60.0


class RedisDriver(RedisInspector, RedisWorkers, BaseDriver):
    """Messages in Redis or Valkey: on a server, behind Sentinels or on a Cluster."""

    settings_type: ClassVar[type[DriverSettings]] = RedisSettings
    limits = Limits(dequeue_batch=1000, max_body=64 * 1024 * 1024, max_delay=100 * 365 * 86400.0)

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings or RedisSettings())
        self._session: Session | None = None
        self._connecting = asyncio.Lock()
        self._registered: dict[str, float] = {}

    async def connect(self) -> None:
        """Connect; see `BaseDriver.connect`."""
        async with self._connecting:
            if self._session is None:
                session = Session(cast(RedisSettings, self.settings))
                try:
                    await session.open()
                except BaseException:
                    await session.close()
                    raise
                self._session = session

    async def disconnect(self) -> None:
        """Let go of the server; see `BaseDriver.disconnect`."""
        if self._session is not None:
            session, self._session = self._session, None
            self._registered.clear()
            await session.close()

    @property
    def session(self) -> Session:
        """What there is while it is connected; raises `BrokerUnavailable` otherwise."""
        if self._session is None:
            raise BrokerUnavailable("the driver is not connected; call connect() first")
        return self._session

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store messages; see `BaseDriver.enqueue`."""
        for message in messages:
            self._check(message)
        if not messages:
            return
        parts = list(enqueue_calls(self.session.keys, messages))
        register = self._register({message.queue for message in messages})
        calls = [*register, *(call for call, _ in parts)]
        replies = (await self.session.replies(calls))[len(register) :]
        _raise_failed([(reply, ids) for reply, (_, ids) in zip(replies, parts, strict=True)])

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take messages; see `BaseDriver.dequeue`."""
        unique = tuple(dict.fromkeys(queues))
        if not unique or limit < 1:
            return []
        request = Request(unique, min(limit, self.limits.dequeue_batch), microseconds(lease))
        return await Fetch(self.session, request).run(wait)

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes; see `BaseDriver.settle`."""
        return await self._lost(settle_calls(self.session.keys, settlements))

    async def extend(self, deliveries: Sequence[Delivery], *, lease: float) -> Sequence[Delivery]:
        """Extend leases; see `BaseDriver.extend`."""
        return await self._lost(extend_calls(self.session.keys, deliveries, microseconds(lease)))

    async def _lost(self, parts: Iterable[tuple[Call, Sequence[Delivery]]]) -> Sequence[Delivery]:
        parts = list(parts)
        if not parts:
            return []
        replies = await self.session.call(*(call for call, _ in parts))
        return [
            deliveries[position - 1]
            for reply, (_, deliveries) in zip(replies, parts, strict=True)
            for position in cast(Sequence[int], reply)
        ]

    def _check(self, message: Message) -> None:
        if len(message.body) > self.limits.max_body:
            raise BrokerRejected(
                f"message {message.id} has {len(message.body)} bytes;"
                f" at most {self.limits.max_body} are possible"
            )
        if not 0 <= message.delay <= self.limits.max_delay:
            raise BrokerRejected(
                f"message {message.id} has a delay of {message.delay} seconds;"
                f" 0 to {self.limits.max_delay:.0f} are possible"
            )

    def _register(self, queues: Iterable[str]) -> list[Plain]:
        """The command that makes queues known which this driver did not use lately, if any."""
        now = time.monotonic()
        fresh = [name for name in queues if self._registered.get(name, -math.inf) < now]
        self._registered.update(dict.fromkeys(fresh, now + REGISTER_EVERY))
        return [Plain(("SADD", self.session.keys.queues, *fresh))] if fresh else []


def _raise_failed(parts: Sequence[tuple[object, Sequence[str]]]) -> None:
    errors = [reply for reply, _ in parts if isinstance(reply, BrokerError)]
    if not errors:
        return
    accepted = [one for reply, ids in parts if reply not in errors for one in ids]
    if not accepted:
        raise errors[0]
    rejected = [one for reply, ids in parts if reply in errors for one in ids]
    raise EnqueueFailed(str(errors[0]), accepted=accepted, rejected=rejected) from errors[0]
