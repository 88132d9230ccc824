"""The two connections of a session, each made anew when it was lost and somebody needs it."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from asynctasq.errors import BrokerError, BrokerUnavailable
from asynctasq_rabbitmq.errors import LinkLost
from asynctasq_rabbitmq.link import Link
from asynctasq_rabbitmq.names import Names
from asynctasq_rabbitmq.publisher import Publisher
from asynctasq_rabbitmq.settings import RabbitMQSettings
from asynctasq_rabbitmq.topology import Topology

logger = logging.getLogger("asynctasq.rabbitmq")

#: The first release where a consumer can say how long its messages may be held.
HAS_CONSUMER_TIMEOUT = (3, 12)


class Turns:
    """Lets one call at a time connect; those that waited for one that failed fail alike."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._failed_at = 0.0
        self._error: BrokerError | None = None

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[None]:
        """A call's turn, or the error of the one that it waited for."""
        asked = time.monotonic()
        async with self._lock:
            if self._error is not None and self._failed_at >= asked:
                raise type(self._error)(*self._error.args) from self._error
            try:
                yield
            except BrokerError as error:
                self._failed_at, self._error = time.monotonic(), error
                raise
            self._error = None


class Connections:
    """One connection to publish, and one to consume."""

    def __init__(self, settings: RabbitMQSettings, names: Names) -> None:
        self._settings = settings
        self._location = settings.location()
        self._names = names
        self._publishing = Turns()
        self._consuming = Turns()
        self._publisher: tuple[Publisher, Topology, Link] | None = None
        self._source: tuple[Topology, Link] | None = None
        self._is_closed = False

    async def publishing(self) -> tuple[Publisher, Topology]:
        """What publishes."""
        async with self._publishing.one():
            current = self._publisher
            if current is None or current[2].lost:
                link = await self._link("publish")
                current = (await Publisher.open(link), Topology(link, self._names), link)
            elif not current[0].is_open:
                current = (await Publisher.open(current[2]), *current[1:])
            self._publisher = current
        return current[0], current[1]

    async def consuming(self) -> tuple[Topology, Link]:
        """What consumes."""
        async with self._consuming.one():
            if self._source is None or self._source[1].lost:
                link = await self._link("consume")
                if self._source is None and link.version < HAS_CONSUMER_TIMEOUT:
                    logger.warning(
                        "RabbitMQ at %s is older than 3.12: consumer_timeout in its rabbitmq.conf"
                        " (30 minutes) bounds how long a task may run",
                        self._location,
                    )
                self._source = (Topology(link, self._names), link)
        return self._source

    async def unmark(self) -> None:
        """Remove what was declared for the consuming connection alone, if there is one."""
        if self._source is not None and self._source[1].lost is None:
            with suppress(BrokerError, LinkLost):  # another connection may use it again
                await self._source[0].unmark()

    async def close(self) -> None:
        """Close both at once, within seconds; none is made any more."""
        self._is_closed = True
        links = [one[-1] for one in (self._publisher, self._source) if one is not None]
        await asyncio.gather(*(link.close() for link in links))

    async def _link(self, purpose: str) -> Link:
        if self._is_closed:
            raise BrokerUnavailable("the driver was disconnected")
        link = Link(self._settings.url(), self._location, f"asynctasq {purpose}")
        await link.open()
        return link
