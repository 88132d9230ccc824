"""`RedisEmitter`: publishes a worker's events as JSON on a Pub/Sub channel."""

import asyncio
import json
import logging
import time
from contextlib import suppress
from weakref import WeakKeyDictionary

from redis.exceptions import RedisClusterException, RedisError, ResponseError

from asynctasq.config import Config
from asynctasq.events.records import Event
from asynctasq_redis.connection import Connections, connections
from asynctasq_redis.errors import translated
from asynctasq_redis.pool import Link, exchange
from asynctasq_redis.settings import RedisSettings

logger = logging.getLogger("asynctasq.events")

#: Time limit in seconds for publishing an event.
LIMIT = 3.0
#: Seconds to drop events without trying, after a failure.
PAUSE = 5.0

_FAILURES = (RedisError, RedisClusterException, OSError, TimeoutError)


class RedisEmitter:
    """Publishes each event as a JSON object; while Redis is away, events are dropped.

    Opens a separate connection for each event loop it is used on.

    Args:
        settings: the server, and the channel unless `channel` is given.
    """

    def __init__(self, settings: RedisSettings, *, channel: str | None = None) -> None:
        self.channel = channel or settings.redis_events_channel or f"{settings.redis_prefix}:events"
        self._settings = settings
        self._publishers: WeakKeyDictionary[asyncio.AbstractEventLoop, _Publisher] = (
            WeakKeyDictionary()
        )

    async def emit(self, event: Event) -> None:
        """Publish one event, or drop it."""
        loop = asyncio.get_running_loop()
        publisher = self._publishers.get(loop)
        if publisher is None:
            publisher = self._publishers[loop] = _Publisher(self._settings, self.channel)
        await publisher.publish(json.dumps(event.as_dict()))

    async def close(self) -> None:
        """Disconnect."""
        publisher = self._publishers.pop(asyncio.get_running_loop(), None)
        if publisher is not None:
            await publisher.close()


def make_emitter(config: Config) -> RedisEmitter:
    """Return the emitter of ``--emit redis``: on the driver's server, or by the Redis settings."""
    settings = config.driver_settings
    return RedisEmitter(settings if isinstance(settings, RedisSettings) else RedisSettings())


class _Publisher:
    """One connection and its state: events dropped, and the time of the next try."""

    def __init__(self, settings: RedisSettings, channel: str) -> None:
        self._settings = settings
        self._channel = channel
        self._connections: Connections | None = None
        self._link: Link | None = None
        self._dropped = 0
        self._not_before = 0.0

    async def publish(self, text: str) -> None:
        if time.monotonic() < self._not_before:
            self._dropped += 1
            return
        try:
            async with asyncio.timeout(LIMIT):
                await self._send(text)
        except _FAILURES as error:
            await self._note_failure(error)
        else:
            if self._dropped:
                logger.info("events are published again; %d were dropped", self._dropped)
            self._dropped, self._not_before = 0, 0.0

    async def close(self) -> None:
        link, opened = self._link, self._connections
        self._link = self._connections = None
        with suppress(*_FAILURES):
            if link is not None:
                await link.disconnect(nowait=True)
            if opened is not None:
                await opened.close()

    async def _send(self, text: str) -> None:
        if self._link is None:
            self._connections = connections(self._settings)
            await self._connections.open()
            self._link = self._connections.link(self._channel)
        (reply,) = await exchange(self._link, [("PUBLISH", self._channel, text)])
        if isinstance(reply, ResponseError):
            raise reply

    async def _note_failure(self, error: BaseException) -> None:
        if not self._dropped:  # one warning for each outage
            where = self._settings.location()
            logger.warning("events are dropped: %s", translated(error, where))
        self._dropped += 1
        await self.close()
        self._not_before = time.monotonic() + PAUSE
