"""The Redis driver: the seam's methods as calls of Lua scripts."""

from collections.abc import Iterable, Sequence
from typing import ClassVar, cast

from asynctasq.drivers import Delivery, DriverSettings, Limits, Message, Settlement
from asynctasq.drivers.enqueue_checks import check_message
from asynctasq.drivers.session_driver import SessionDriver
from asynctasq_redis.control import RedisControl
from asynctasq_redis.dequeue import Fetch, Request
from asynctasq_redis.diagnostics import RedisDiagnostics
from asynctasq_redis.enqueue import enqueue
from asynctasq_redis.inspector import RedisInspector
from asynctasq_redis.leases import extend_calls, lost
from asynctasq_redis.messages import microseconds
from asynctasq_redis.scripts import Call
from asynctasq_redis.session import Session
from asynctasq_redis.settings import RedisSettings
from asynctasq_redis.settle import settle_calls
from asynctasq_redis.workers import RedisWorkers


class RedisDriver(
    SessionDriver[Session], RedisInspector, RedisControl, RedisWorkers, RedisDiagnostics
):
    """Messages in Redis or Valkey: on a server, behind Sentinels or on a Cluster."""

    settings_type: ClassVar[type[DriverSettings]] = RedisSettings
    limits = Limits(dequeue_batch=1000, max_body=64 * 1024 * 1024, max_delay=100 * 365 * 86400.0)

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings or RedisSettings())

    def make_session(self) -> Session:
        """See `SessionDriver`."""
        return Session(cast(RedisSettings, self.settings))

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store messages; see `BaseDriver.enqueue`."""
        for message in messages:
            check_message(
                message,
                longest_body=self.limits.max_body,
                longest_delay=self.limits.max_delay,
            )
        if messages:
            await enqueue(self.session, messages)

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
        """Run calls about deliveries; returns the deliveries that lost their lease."""
        parts = list(parts)
        if not parts:
            return []
        replies = await self.session.call(*(call for call, _ in parts))
        return lost(replies, (deliveries for _, deliveries in parts))
