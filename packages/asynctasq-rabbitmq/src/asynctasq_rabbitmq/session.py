"""What a driver has from `connect` to `disconnect`: a thread, and two connections in it."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Self, TypeVar

from asynctasq.drivers import Delivery, Settlement
from asynctasq.errors import BrokerError, BrokerUnavailable
from asynctasq_rabbitmq.consumer import MOST_PREFETCH, Consumer
from asynctasq_rabbitmq.errors import ChannelClosed, LinkLost, translated
from asynctasq_rabbitmq.held import Held, Leases
from asynctasq_rabbitmq.link import Link
from asynctasq_rabbitmq.mail import Letter, Mail
from asynctasq_rabbitmq.names import Names
from asynctasq_rabbitmq.outcomes import Outcomes
from asynctasq_rabbitmq.publisher import Publisher
from asynctasq_rabbitmq.settings import RabbitMQSettings
from asynctasq_rabbitmq.thread import LoopThread
from asynctasq_rabbitmq.topology import Topology

T = TypeVar("T")

logger = logging.getLogger("asynctasq.rabbitmq")

#: Seconds in which what nobody has taken must be handed back at the end.
CLOSE_LIMIT = 3.0
#: The first release where a consumer can say how long its messages may be held.
HAS_CONSUMER_TIMEOUT = (3, 12)


class Session:
    """Two connections, one to publish and one to consume, and what hangs on them.

    `run`, `settle`, `extend` and `end` are called from anywhere, all else from within its thread.
    """

    def __init__(self, settings: RabbitMQSettings, thread: LoopThread) -> None:
        self.settings = settings
        self.location = settings.location()
        self.vhost = settings.vhost()
        self.names = Names(settings.rabbitmq_exchange_name)
        self.used: set[str] = set()
        self.looking = asyncio.Lock()  # who looks at dead messages holds them
        self.moving = asyncio.Lock()  # while messages are handed back, counts are not exact
        self.mail = Mail(self.names, self.publishing, self._sending, self._missing)
        self._thread = thread
        self._leases = Leases(thread.loop, self._leases_ended)
        self._outcomes = Outcomes(self.mail, self._spawn)
        self._publishing = asyncio.Lock()
        self._consuming = asyncio.Lock()
        self._opening: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._publisher: tuple[Publisher, Topology, Link] | None = None
        self._source: tuple[Topology, Link] | None = None
        self._consumers: dict[str, Consumer] = {}
        self._due: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    @classmethod
    async def start(cls, settings: RabbitMQSettings) -> Self:
        """Start the thread and connect, or raise."""
        thread = LoopThread()
        session = cls(settings, thread)
        try:
            await session.run(session.publishing)
        except BaseException:
            await session.end()
            raise
        return session

    async def run(
        self,
        work: Callable[[], Coroutine[object, object, T]],
        *,
        undo: Callable[[T], None] | None = None,
    ) -> T:
        """The result of `work` in the thread, with the errors of the seam; see `LoopThread`."""
        return await self._thread.run(lambda: self._translated(work), undo=undo)

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes of what this session delivered."""
        if self._closing:
            return [item.delivery for item in settlements]
        return await self.run(lambda: self._outcomes.settle(settlements))

    def extend(self, held: Held, seconds: float) -> bool:
        """Let a lease end so many seconds from now; False if it is lost."""
        return not self._closing and self._leases.extend(held, seconds)

    async def end(self) -> None:
        """Hand back what nobody has taken, let go of the broker and end the thread."""
        try:
            await self._thread.run(self._close)
        finally:
            await self._thread.stop()

    async def publishing(self) -> tuple[Publisher, Topology]:
        """The publishing connection, made anew when it was lost."""
        async with self._publishing:
            current = self._publisher
            if current is None or current[2].lost:
                link = await self._link("publish")
                current = (await Publisher.open(link), Topology(link, self.names), link)
            elif not current[0].is_open:
                current = (await Publisher.open(current[2]), *current[1:])
            self._publisher = current
        return current[0], current[1]

    async def consuming(self) -> tuple[Topology, Link]:
        """The consuming connection, made anew when it was lost."""
        async with self._consuming:
            if self._source is None or self._source[1].lost:
                link = await self._link("consume")
                if self._source is None and link.version < HAS_CONSUMER_TIMEOUT:
                    logger.warning(
                        "RabbitMQ at %s is older than 3.12: consumer_timeout in its rabbitmq.conf"
                        " (30 minutes) bounds how long a task may run",
                        self.location,
                    )
                self._source = (Topology(link, self.names), link)
        return self._source

    async def consumer(self, queue: str) -> Consumer:
        """The consumer of a queue, made anew when it was lost."""
        async with self._opening[queue]:
            current = self._consumers.get(queue)
            if current is None or current.lost is not None or current.deleted:
                topology, link = await self.consuming()
                if current is not None:
                    topology.forget([queue])
                await topology.ensure([queue])
                self.used.add(queue)
                current = self._consumers[queue] = Consumer(
                    queue,
                    self.names.queue(queue),
                    await link.channel(),
                    self,
                    self._leases,
                    most=self.settings.rabbitmq_prefetch_count or MOST_PREFETCH,
                    accept=self._outcomes.recall,
                    idle=self._idle,
                    gone=self._gone,
                )
        return current

    def buffered(self, queue: str) -> int:
        """Messages of `queue` that are here, and nobody has taken."""
        consumer = self._consumers.get(queue)
        return consumer.buffered if consumer is not None else 0

    def holds(self, queue: str) -> bool:
        """Whether messages of `queue` are held here."""
        consumer = self._consumers.get(queue)
        return consumer is not None and consumer.holds_any

    def delays(self, queue: str) -> bool:
        """Whether messages of `queue` that were sent from here are not due yet."""
        return self._due.get(queue, 0.0) > time.monotonic()

    async def hand_back(self, queue: str) -> None:
        """Give the broker what nobody has taken of `queue`."""
        if (consumer := self._consumers.get(queue)) is not None:
            await self._hand_back(consumer)

    async def _close(self) -> None:
        self._closing = True
        self._leases.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_LIMIT):
                for consumer in self._consumers.values():
                    await self._hand_back(consumer)
        for consumer in self._consumers.values():
            consumer.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for one in (self._publisher, self._source):
            if one is not None:
                await one[-1].close()

    async def _link(self, purpose: str) -> Link:
        if self._closing:
            raise BrokerUnavailable("the driver was disconnected")
        link = Link(self.settings.url(), self.location, f"asynctasq {purpose}")
        await link.open()
        return link

    async def _translated(self, work: Callable[[], Coroutine[object, object, T]]) -> T:
        try:
            return await work()
        except (ChannelClosed, LinkLost) as error:
            raise translated(error, self.location) from error

    def _idle(self, consumer: Consumer) -> None:
        self._spawn(self._hand_back(consumer))

    def _gone(self, consumer: Consumer) -> None:
        self._spawn(consumer.channel.close())

    async def _hand_back(self, consumer: Consumer) -> None:
        """Pause a consumer, and store again what it had."""
        helds: Sequence[Held] = ()
        async with self.moving:
            try:
                helds = await consumer.pause()
                await self._outcomes.give_back(helds, counts=False)
            except (BrokerError, ChannelClosed, LinkLost):
                consumer.restore(held for held in helds if consumer.holds(held))

    def _sending(self, letters: Sequence[Letter]) -> None:
        for letter in letters:
            self.used.add(letter.queue)
            if letter.delay:
                due = time.monotonic() + letter.delay
                self._due[letter.queue] = max(due, self._due.get(letter.queue, 0.0))

    async def _missing(self, queues: set[str]) -> None:
        for queue in queues:  # the broker may not have told their consumers yet
            if (consumer := self._consumers.get(queue)) is not None:
                consumer.queue_is_gone()
                await consumer.channel.close()

    def _leases_ended(self, helds: Sequence[Held]) -> None:
        self._spawn(self._outcomes.end_leases(helds))

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
