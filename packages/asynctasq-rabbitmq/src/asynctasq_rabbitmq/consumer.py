"""A queue that is consumed: messages are pushed, as many as somebody asks for.

Credit is what dequeues want, and stays between them: a worker with N slots has a consumer that
may hold N messages, and never another command while it waits. What nobody takes for a moment is
handed back, and the consumer pauses until it is asked again.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence

from pamqp import commands

from asynctasq.drivers import Delivery
from asynctasq_rabbitmq.channel import Channel
from asynctasq_rabbitmq.content import Content
from asynctasq_rabbitmq.errors import ChannelClosed, LinkLost
from asynctasq_rabbitmq.leases import Held, Leases, Owner, State
from asynctasq_rabbitmq.subscriptions import MOST_PREFETCH, Subscriptions
from asynctasq_rabbitmq.unacked import Unacked

#: Seconds for which a message may wait for a dequeue.
IDLE_LIMIT = 0.2
#: Seconds after which handing back is tried again.
RETRY_LIMIT = 1.0
#: Seconds in which messages that the broker has must come to a consumer with credit.
FENCE_LIMIT = 1.0
FENCE_STEP = 0.02
NOT_FOUND = 404


class Consumer:
    """The messages of one queue that are here.

    Args:
        name: the broker's name of the queue.
        channel: for this consumer alone.
        owner: settles what is taken here.
        most: the most messages that may be here.
        accept: called with what was delivered before; True if it needs no dequeue.
        idle: called when nobody has wanted messages for a moment.
        gone: called when the queue turns out to be gone, to close the channel.
        stands: whether the queue is the one that was there when the consumer was made.

    Attributes:
        lost: why the channel ended, if it did.
        deleted: the queue is gone; it has to be declared again.
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
        most: int,
        accept: Callable[[Held], bool],
        idle: Callable[["Consumer"], None],
        gone: Callable[["Consumer"], None],
        stands: Callable[[str], Awaitable[bool]],
    ) -> None:
        self.queue = queue
        self.name = name
        self.channel = channel
        self.owner = owner
        self.lost: ChannelClosed | LinkLost | None = None
        self.deleted = False
        self.wanted = 0
        self._leases = leases
        self._most = most
        self._accept = accept
        self._idle = idle
        self._gone = gone
        self._stands = stands
        self._buffer: deque[Held] = deque()
        self._unacked = Unacked(channel.number)
        self._subscriptions = Subscriptions(channel, name)
        self._waiting: dict[asyncio.Event, int] = {}
        self._pause: asyncio.TimerHandle | None = None
        channel.on_delivery = self._delivered
        channel.on_cancel = self._cancelled
        channel.on_closed = self._ended

    @property
    def credit(self) -> int:
        """Messages the broker may still send, or can once those being settled are."""
        return self._subscriptions.credit

    @property
    def usable(self) -> bool:
        """Whether messages can come here, as far as anybody knows."""
        return self.lost is None and not self.deleted

    @property
    def available(self) -> int:
        """Messages that are here or may come."""
        return self.credit + len(self._buffer)

    @property
    def buffered(self) -> int:
        """Messages that are here and nobody has taken."""
        return len(self._buffer)

    @property
    def holds_any(self) -> bool:
        """Whether messages are here, taken or not."""
        return len(self._unacked) > 0

    def join(self, event: asyncio.Event, wanted: int) -> None:
        """Want so many messages; `event` is set when something happens."""
        self._waiting[event] = wanted
        self.wanted += wanted
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def leave(self, event: asyncio.Event) -> None:
        """Want them no more."""
        self.wanted -= self._waiting.pop(event, 0)
        if self._waiting:
            self.wake()  # they may have to ask for more credit now
        else:
            self._pause_soon()

    def queue_is_gone(self) -> None:
        """Take note that the queue was deleted.

        A new one of its name needs another channel: the broker takes this one's consumer along,
        and gives it messages that the channel then ignores. What is held stays held: there is
        no queue it could come back from.
        """
        self.deleted = True
        self.wake()

    def wake(self) -> None:
        """Let everybody who waits look again."""
        for event in self._waiting:
            event.set()

    def take(self, limit: int, deadline: float) -> list[Delivery]:
        """Up to `limit` messages, under leases that end at `deadline`."""
        taken: list[Delivery] = []
        while self._buffer and len(taken) < limit:
            held = self._buffer.popleft()
            self._leases.begin(held, deadline)
            taken.append(held.delivery())
        return taken

    def untake(self, helds: Sequence[Held]) -> None:
        """Undo `take`, for messages whose taker is gone."""
        for held in reversed(helds):
            if held.state is State.HELD:
                self._leases.end(held, State.BUFFERED)
                self._buffer.appendleft(held)
        self.wake()
        self._pause_soon()

    def find(self, message_id: str) -> Held | None:
        """What is here of a message."""
        return next((held for held in self._unacked if held.id == message_id), None)

    def withdraw(self, held: Held) -> bool:
        """Offer a message to nobody; False if it is not on offer."""
        if held not in self._buffer:
            return False
        self._buffer.remove(held)
        return True

    async def ask(self, wanted: int) -> bool:
        """Have credit for at least `wanted` messages in all; whether there is more now."""
        async with self._subscriptions.changing:
            return await self._subscribe(wanted - self._subscriptions.total)

    async def ask_more(self, wanted: int) -> bool:
        """Have credit for `wanted` messages beside those that are held."""
        async with self._subscriptions.changing:
            return await self._subscribe(wanted - self.available)

    async def fence(self, wanted: int) -> None:
        """Let what the broker has for us arrive, up to `wanted` messages."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + FENCE_LIMIT
        frame = commands.Queue.Declare(queue=self.name, passive=True)
        while self.usable:
            reply = await self.channel.call(frame, commands.Queue.DeclareOk)
            enough = len(self._buffer) >= wanted or self.credit <= 0
            if enough or not reply.message_count or loop.time() > deadline:
                return
            await asyncio.sleep(FENCE_STEP)

    async def pause(self) -> list[Held]:
        """Take no more messages; what nobody has taken, to be handed back."""
        async with self._subscriptions.changing:
            await self._subscriptions.cancel_all()
            unwanted = list(self._buffer)
            self._buffer.clear()
            return unwanted

    def restore(self, helds: Iterable[Held]) -> None:
        """Offer again what could not be handed back, or hand it back later."""
        self._buffer.extend(helds)
        self.wake()
        if not self._waiting:
            self._pause_soon(RETRY_LIMIT)

    def done_with(self, held: Held, state: State) -> None:
        """End the lease of a message that is to be removed, or to be held again."""
        self._leases.end(held, state)

    def hold_again(self, held: Held) -> None:
        """Undo `done_with`: the outcome could not be applied."""
        if self.holds(held):
            self._leases.begin(held, held.deadline)
        else:
            self._leases.orphan(held)

    def holds(self, held: Held) -> bool:
        """Whether the message is still here."""
        return held in self._unacked

    def acknowledge(self, helds: Iterable[Held]) -> None:
        """Remove messages from the queue."""
        frames = self._unacked.remove(helds)
        if frames and not self.deleted and self.lost is None:
            self.channel.write(frames)

    async def barrier(self) -> None:
        """Wait until the broker has handled what was sent before."""
        if self.deleted:
            return
        qos = commands.Basic.Qos(prefetch_count=1)
        await self.channel.call(qos, commands.Basic.QosOk)

    def close(self) -> None:
        """Stop the timer."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    async def _subscribe(self, more: int) -> bool:
        more = min(more, self._most - len(self._unacked), MOST_PREFETCH)
        if more <= 0:
            return False
        # to consume another queue of this name here would end the connection, on RabbitMQ 3.10
        if not self._subscriptions.is_new and not await self._stands(self.queue):
            self._lose_queue()
            raise ChannelClosed(NOT_FOUND, f"queue {self.queue} was deleted")
        await self._subscriptions.add(more)
        return True

    def _delivered(self, tag: str, number: int, again: bool, content: Content) -> None:
        subscription = self._subscriptions.of(tag)
        held = Held(
            self, subscription, number, content.id, content.body, content.attempts,
            abandoned=content.abandoned,
        )  # fmt: skip
        subscription.busy += 1
        self._unacked.add(held)
        if (again or held.abandoned) and self._accept(held):
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
            self._gone(self)

    def _ended(self, reason: ChannelClosed | LinkLost) -> None:
        self.lost = reason
        if isinstance(reason, ChannelClosed) and reason.code == NOT_FOUND:
            self.deleted = True  # nothing but this queue is named on this channel
        self.close()
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
            self._idle(self)
