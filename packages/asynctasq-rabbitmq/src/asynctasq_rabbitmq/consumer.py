"""Consumes one queue: the broker pushes messages up to the credit that dequeues ask for.

Credit stays between dequeues: a worker with N slots has a consumer that may hold N messages, and
waits without sending a command. Buffered messages that no dequeue takes are soon handed back, and
the consumer pauses until the next dequeue.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence

from pamqp import commands

from asynctasq.drivers import Delivery
from asynctasq_rabbitmq.channel import Channel
from asynctasq_rabbitmq.content import Content
from asynctasq_rabbitmq.errors import ChannelClosed, LinkLost
from asynctasq_rabbitmq.leases import HeldDelivery, Leases, Owner, State
from asynctasq_rabbitmq.subscriptions import MOST_PREFETCH, Subscriptions
from asynctasq_rabbitmq.unacked import Unacked

#: Seconds for which a buffered message may wait for a dequeue.
IDLE_LIMIT = 0.2
#: Seconds before handing back is retried.
RETRY_LIMIT = 1.0
#: Seconds in which messages of the broker must reach a consumer with credit.
FENCE_LIMIT = 1.0
FENCE_STEP = 0.02
NOT_FOUND = 404


class Consumer:
    """The unacknowledged messages of one queue on one channel.

    Args:
        name: the broker's name of the queue.
        channel: used by this consumer alone.
        owner: settles deliveries of this consumer.
        limit: maximum number of unacknowledged messages.
        recall: called with each redelivered message; True if its outcome was known already.
        on_idle: called when no dequeue has waited for `IDLE_LIMIT` seconds.
        on_deleted: called when the queue turns out to be deleted, to close the channel.
        is_same: whether the queue is still the one that this consumer was opened on.

    Attributes:
        lost: why the channel ended, None while it is open.
        deleted: the queue was deleted; a new consumer has to declare it again.
        wanted: messages that dequeues are waiting for.
    """

    def __init__(
        self,
        queue: str,
        name: str,
        channel: Channel,
        owner: Owner,
        leases: Leases,
        *,
        limit: int,
        recall: Callable[[HeldDelivery], bool],
        on_idle: Callable[["Consumer"], None],
        on_deleted: Callable[["Consumer"], None],
        is_same: Callable[[str], Awaitable[bool]],
    ) -> None:
        self.queue = queue
        self.name = name
        self.channel = channel
        self.owner = owner
        self.lost: ChannelClosed | LinkLost | None = None
        self.deleted = False
        self.wanted = 0
        self._leases = leases
        self._limit = limit
        self._recall = recall
        self._on_idle = on_idle
        self._on_deleted = on_deleted
        self._is_same = is_same
        self._buffer: deque[HeldDelivery] = deque()
        self._unacked = Unacked(channel.number)
        self._subscriptions = Subscriptions(channel, name)
        self._waiting: dict[asyncio.Event, int] = {}
        self._pause: asyncio.TimerHandle | None = None
        channel.on_delivery = self._delivered
        channel.on_cancel = self._cancelled
        channel.on_closed = self._ended

    @property
    def credit(self) -> int:
        """Messages that the broker may send, now or once settlements under way are done."""
        return self._subscriptions.credit

    @property
    def usable(self) -> bool:
        """Whether the consumer can receive messages, as far as is known."""
        return self.lost is None and not self.deleted

    @property
    def available(self) -> int:
        """Messages that are buffered or may arrive."""
        return self.credit + len(self._buffer)

    @property
    def buffered(self) -> int:
        """Messages that no dequeue has taken yet."""
        return len(self._buffer)

    @property
    def holds_any(self) -> bool:
        """Whether any message is unacknowledged, taken or not."""
        return len(self._unacked) > 0

    def join(self, event: asyncio.Event, wanted: int) -> None:
        """Register a dequeue that wants `wanted` messages; `event` wakes it."""
        self._waiting[event] = wanted
        self.wanted += wanted
        self.stop_timer()

    def leave(self, event: asyncio.Event) -> None:
        """Unregister a dequeue."""
        self.wanted -= self._waiting.pop(event, 0)
        if self._waiting:
            self.wake()  # the others may have to ask for more credit now
        else:
            self._pause_soon()

    def queue_is_gone(self) -> None:
        """Mark the queue as deleted, and wake dequeues.

        A new queue of this name needs a new channel: the broker moves the consumer of this one to
        it, and sends messages that the channel then ignores. Held messages stay held: the queue
        that could deliver them again no longer exists.
        """
        self.deleted = True
        self.wake()

    def wake(self) -> None:
        """Wake all waiting dequeues."""
        for event in self._waiting:
            event.set()

    def take(self, limit: int, deadline: float) -> list[Delivery]:
        """Take up to `limit` buffered messages, under leases that end at `deadline`."""
        taken: list[Delivery] = []
        while self._buffer and len(taken) < limit:
            held = self._buffer.popleft()
            self._leases.begin(held, deadline)
            taken.append(held.delivery())
        return taken

    def untake(self, deliveries: Sequence[HeldDelivery]) -> None:
        """Undo `take`, for a dequeue that was cancelled."""
        for held in reversed(deliveries):
            if held.state is State.HELD:
                self._leases.end(held, State.BUFFERED)
                self._buffer.appendleft(held)
        self.wake()
        self._pause_soon()

    def find(self, message_id: str) -> HeldDelivery | None:
        """Return the unacknowledged delivery of a message, if there is one."""
        return next((held for held in self._unacked if held.id == message_id), None)

    def withdraw(self, held: HeldDelivery) -> bool:
        """Remove a message from the buffer; False if it is not there."""
        if held not in self._buffer:
            return False
        self._buffer.remove(held)
        return True

    async def ask(self, wanted: int) -> bool:
        """Raise total credit to `wanted` messages; True if it has grown."""
        async with self._subscriptions.changing:
            return await self._subscribe(wanted - self._subscriptions.total)

    async def ask_more(self, wanted: int) -> bool:
        """Raise credit to `wanted` messages besides those held; True if it has grown."""
        async with self._subscriptions.changing:
            return await self._subscribe(wanted - self.available)

    async def fence(self, wanted: int) -> None:
        """Wait until the broker's ready messages have arrived, up to `wanted`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + FENCE_LIMIT
        frame = commands.Queue.Declare(queue=self.name, passive=True)
        while self.usable:
            reply = await self.channel.call(frame, commands.Queue.DeclareOk)
            enough = len(self._buffer) >= wanted or self.credit <= 0
            if enough or not reply.message_count or loop.time() > deadline:
                return
            await asyncio.sleep(FENCE_STEP)

    async def pause(self) -> list[HeldDelivery]:
        """Cancel all credit, and return the buffered messages, to be handed back."""
        async with self._subscriptions.changing:
            await self._subscriptions.cancel_all()
            buffered = list(self._buffer)
            self._buffer.clear()
            return buffered

    def restore(self, deliveries: Iterable[HeldDelivery]) -> None:
        """Put messages that could not be handed back into the buffer again, to retry later."""
        self._buffer.extend(deliveries)
        self.wake()
        if not self._waiting:
            self._pause_soon(RETRY_LIMIT)

    def done_with(self, held: HeldDelivery, state: State) -> None:
        """End the lease of a message that is being settled; see `hold_again`."""
        self._leases.end(held, state)

    def hold_again(self, held: HeldDelivery) -> None:
        """Undo `done_with`: the outcome could not be applied."""
        if self.holds(held):
            self._leases.begin(held, held.deadline)
        else:
            self._leases.orphan(held)

    def holds(self, held: HeldDelivery) -> bool:
        """Whether the message is still unacknowledged."""
        return held in self._unacked

    def acknowledge(self, deliveries: Iterable[HeldDelivery]) -> None:
        """Acknowledge messages, which removes them from the queue."""
        frames = self._unacked.remove(deliveries)
        if frames and not self.deleted and self.lost is None:
            self.channel.write(frames)

    async def barrier(self) -> None:
        """Wait until the broker has handled all frames sent before."""
        if self.deleted:
            return
        qos = commands.Basic.Qos(prefetch_count=1)
        await self.channel.call(qos, commands.Basic.QosOk)

    def stop_timer(self) -> None:
        """Cancel the idle timer."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    async def _subscribe(self, more: int) -> bool:
        more = min(more, self._limit - len(self._unacked), MOST_PREFETCH)
        if more <= 0:
            return False
        # consuming a new queue of this name here would end the connection, on RabbitMQ 3.10
        if not self._subscriptions.is_new and not await self._is_same(self.queue):
            self._lose_queue()
            raise ChannelClosed(NOT_FOUND, f"queue {self.queue} was deleted")
        await self._subscriptions.add(more)
        return True

    def _delivered(self, tag: str, number: int, redelivered: bool, content: Content) -> None:
        subscription = self._subscriptions.of(tag)
        held = HeldDelivery(
            self, subscription, number, content.id, content.body, content.attempts,
            abandoned=content.abandoned,
        )  # fmt: skip
        subscription.busy += 1
        self._unacked.add(held)
        if (redelivered or held.abandoned) and self._recall(held):
            return
        self._buffer.append(held)
        if self._waiting:
            self.wake()
        else:
            self._pause_soon()

    def _cancelled(self, tag: str) -> None:
        self._subscriptions.remove(tag)
        self._lose_queue()

    def _lose_queue(self) -> None:
        if not self.deleted:
            self.queue_is_gone()
            self._on_deleted(self)

    def _ended(self, reason: ChannelClosed | LinkLost) -> None:
        self.lost = reason
        if isinstance(reason, ChannelClosed) and reason.code == NOT_FOUND:
            self.deleted = True  # the channel names no other queue
        self.stop_timer()
        self._buffer.clear()
        if not self.deleted:
            for held in self._unacked:
                if held.state is State.HELD:
                    self._leases.orphan(held)
            self._unacked.clear()
        self._subscriptions.clear()
        self.wake()

    def _pause_soon(self, limit: float = IDLE_LIMIT) -> None:
        if self._pause is None and self.usable and self.available > 0:
            loop = asyncio.get_running_loop()
            self._pause = loop.call_later(limit, self._pause_now)

    def _pause_now(self) -> None:
        self._pause = None
        if not self._waiting:
            self._on_idle(self)
