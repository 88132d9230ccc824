"""The two connections of a session, each reopened on its next use after it was lost."""

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

#: The first release with a consumer timeout that each consumer can set.
HAS_CONSUMER_TIMEOUT = (3, 12)


class Turns:
    """Lets one call at a time connect; when it fails, the calls that waited for it fail alike."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._failed_at = 0.0
        self._error: BrokerError | None = None

    @asynccontextmanager
    async def take(self) -> AsyncGenerator[None]:
        """Hold the turn for the block, or raise the error of the attempt that was waited for."""
        arrived = time.monotonic()
        async with self._lock:
            if self._error is not None and self._failed_at >= arrived:
                raise type(self._error)(*self._error.args) from self._error
            try:
                yield
            except BrokerError as error:
                self._failed_at, self._error = time.monotonic(), error
                raise
            self._error = None


class Connections:
    """The publishing and the consuming connection."""

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
        """Return the publisher and its topology, connecting if needed."""
        async with self._publishing.take():
            current = self._publisher
            if current is None or current[2].lost:
                link = await self._link("publish")
                current = (await Publisher.open(link), Topology(link, self._names), link)
            elif not current[0].is_open:
                current = (await Publisher.open(current[2]), *current[1:])
            self._publisher = current
        return current[0], current[1]

    async def consuming(self) -> tuple[Topology, Link]:
        """Return the consuming connection and its topology, connecting if needed."""
        async with self._consuming.take():
            if self._source is None or self._source[1].lost:
                link = await self._link("consume")
                if self._source is None and link.version < HAS_CONSUMER_TIMEOUT:
                    logger.warning(
                        "RabbitMQ at %s is older than 3.12: consumer_timeout in its rabbitmq.conf"
                        " (30 minutes) limits how long a task may run",
                        self._location,
                    )
                self._source = (Topology(link, self._names), link)
        return self._source

    async def unmark(self) -> None:
        """Remove the marks of the consuming connection, if it is open."""
        if self._source is not None and self._source[1].lost is None:
            with suppress(BrokerError, LinkLost):  # another connection may use it again
                await self._source[0].unmark()

    async def close(self) -> None:
        """Close both connections within seconds; later calls raise `BrokerUnavailable`."""
        self._is_closed = True
        links = [entry[-1] for entry in (self._publisher, self._source) if entry is not None]
        await asyncio.gather(*(link.close() for link in links))

    async def _link(self, purpose: str) -> Link:
        if self._is_closed:
            raise BrokerUnavailable("the driver was disconnected")
        link = Link(self._settings.url(), self._location, f"asynctasq {purpose}")
        await link.open()
        return link
