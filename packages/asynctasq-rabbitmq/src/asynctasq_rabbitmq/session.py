"""The state of a driver between `connect` and `disconnect`: a thread with two connections."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Self, TypeVar

from asynctasq.drivers import Delivery, Settlement
from asynctasq.errors import BrokerError
from asynctasq_rabbitmq.connections import Connections
from asynctasq_rabbitmq.consumer import Consumer
from asynctasq_rabbitmq.errors import ChannelClosed, LinkLost, translated
from asynctasq_rabbitmq.leases import HeldDelivery, Leases
from asynctasq_rabbitmq.link import Link
from asynctasq_rabbitmq.names import Names
from asynctasq_rabbitmq.sender import OutgoingMessage, Sender
from asynctasq_rabbitmq.settings import RabbitMQSettings
from asynctasq_rabbitmq.settle import Settler
from asynctasq_rabbitmq.subscriptions import MOST_PREFETCH
from asynctasq_rabbitmq.thread import LoopThread
from asynctasq_rabbitmq.topology import Topology
from asynctasq_rabbitmq.watch import Watch

T = TypeVar("T")

logger = logging.getLogger("asynctasq.rabbitmq")

#: Seconds for handing back buffered messages on disconnect.
CLOSE_LIMIT = 3.0


class Session:
    """A publishing and a consuming connection, with their consumers and leases.

    `run`, `settle`, `extend` and `end` may be called from any thread, all else only from its own.
    """

    def __init__(self, settings: RabbitMQSettings, thread: LoopThread) -> None:
        self.settings = settings
        self.location = settings.location()
        self.vhost = settings.vhost()
        self.names = Names(settings.rabbitmq_exchange_name)
        self.used: set[str] = set()
        self.inspecting = asyncio.Lock()  # a reader of dead messages holds all of them
        self.moving = asyncio.Lock()  # while messages are handed back, counts are not exact
        self._connections = Connections(settings, self.names)
        self.sender = Sender(
            self.names, self._connections.publishing, self._sending, self._missing, self.location
        )
        self._thread = thread
        self._leases = Leases(thread.loop, self._leases_ended)
        self._settler = Settler(self.sender, self._spawn, self._find)
        self._opening: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._consumers: dict[str, Consumer] = {}
        self._watch = Watch(self._consumers.values, self._consuming_topology, self._missing)
        self._due: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    @classmethod
    async def start(cls, settings: RabbitMQSettings) -> Self:
        """Start the thread and connect, or raise."""
        thread = await LoopThread.start()
        session = cls(settings, thread)
        try:
            await session.run(session.open)
        except BaseException:  # ended, and raised again
            await session.end()
            raise
        return session

    async def run(
        self,
        work: Callable[[], Coroutine[object, object, T]],
        *,
        undo: Callable[[T], None] | None = None,
    ) -> T:
        """Run `work` in the thread, with errors translated; see `LoopThread.run`."""
        return await self._thread.run(lambda: self._translated(work), undo=undo)

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes of deliveries of this session; return those whose lease was lost."""
        if self._closing:
            return [item.delivery for item in settlements]
        return await self.run(lambda: self._settler.settle(settlements))

    def extend(self, held: HeldDelivery, seconds: float) -> bool:
        """Extend a lease to `seconds` from now; False if it is lost."""
        return not self._closing and self._leases.extend(held, seconds)

    async def end(self) -> None:
        """Hand back buffered messages, close the connections and end the thread; never raises.

        Takes seconds at most, even if the broker does not respond.
        """
        try:
            await self._thread.run(self._close)
        except Exception:  # of any kind: the thread is ended in any case
            logger.warning("closing the connections to RabbitMQ failed", exc_info=True)
        finally:
            await self._thread.stop()

    async def open(self) -> None:
        """Connect, and start to watch the consumers."""
        await self._connections.publishing()
        self._spawn(self._watch.run())

    async def consuming(self) -> tuple[Topology, Link]:
        """Return the consuming connection, reopened if it was lost."""
        return await self._connections.consuming()

    async def consumer(self, queue: str) -> Consumer:
        """Return the consumer of a queue, a new one if its channel or queue was lost."""
        async with self._opening[queue]:
            current = self._consumers.get(queue)
            if current is None or not current.usable:
                topology, link = await self.consuming()
                if current is not None:
                    topology.forget([queue])
                await topology.ensure([queue])
                await topology.mark(queue)
                self.used.add(queue)
                current = self._consumers[queue] = Consumer(
                    queue,
                    self.names.queue(queue),
                    await link.channel(),
                    self,
                    self._leases,
                    limit=self.settings.rabbitmq_prefetch_count or MOST_PREFETCH,
                    recall=self._settler.recall,
                    on_idle=self._idle,
                    on_deleted=self._deleted,
                    is_same=topology.is_marked,
                )
        return current

    def buffered(self, queue: str) -> int:
        """Return the number of buffered messages of `queue`, which no dequeue has taken."""
        consumer = self._consumers.get(queue)
        return consumer.buffered if consumer is not None else 0

    def holds(self, queue: str) -> bool:
        """Whether this session holds messages of `queue`."""
        consumer = self._consumers.get(queue)
        return consumer is not None and consumer.holds_any

    def delays(self, queue: str) -> bool:
        """Whether this session has sent messages to `queue` that are not due yet."""
        return self._due.get(queue, 0.0) > time.monotonic()

    async def hand_back(self, queue: str) -> None:
        """Give buffered messages of `queue` back to the broker."""
        if (consumer := self._consumers.get(queue)) is not None:
            await self._hand_back(consumer)

    async def _close(self) -> None:
        self._closing = True
        self._leases.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_LIMIT):
                for consumer in self._consumers.values():
                    await self._hand_back(consumer)
                await self._connections.unmark()
        for consumer in self._consumers.values():
            consumer.stop_timer()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_LIMIT)
        await self._connections.close()

    async def _translated(self, work: Callable[[], Coroutine[object, object, T]]) -> T:
        try:
            return await work()
        except (ChannelClosed, LinkLost) as error:
            raise translated(error, self.location) from error

    async def _consuming_topology(self) -> Topology:
        return (await self.consuming())[0]

    def _idle(self, consumer: Consumer) -> None:
        self._spawn(self._hand_back(consumer))

    def _deleted(self, consumer: Consumer) -> None:
        self._spawn(consumer.channel.close())

    async def _hand_back(self, consumer: Consumer) -> None:
        """Pause a consumer, and give its buffered messages back."""
        deliveries: Sequence[HeldDelivery] = ()
        async with self.moving:
            try:
                deliveries = await consumer.pause()
                await self._settler.give_back(deliveries, counts=False)
            except (BrokerError, ChannelClosed, LinkLost):
                consumer.restore(held for held in deliveries if consumer.holds(held))

    def _find(self, queue: str, message_id: str) -> HeldDelivery | None:
        consumer = self._consumers.get(queue)
        return consumer.find(message_id) if consumer is not None else None

    def _sending(self, messages: Sequence[OutgoingMessage]) -> None:
        for message in messages:
            self.used.add(message.queue)
            if message.delay:
                due = time.monotonic() + message.delay
                self._due[message.queue] = max(due, self._due.get(message.queue, 0.0))

    async def _missing(self, queues: set[str]) -> None:
        for queue in queues:  # the broker may not have cancelled their consumers yet
            if (consumer := self._consumers.get(queue)) is not None:
                consumer.queue_is_gone()
                await consumer.channel.close()

    def _leases_ended(self, deliveries: Sequence[HeldDelivery]) -> None:
        self._spawn(self._settler.end_leases(deliveries))

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("background work of the RabbitMQ driver failed", exc_info=error)
