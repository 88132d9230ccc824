"""Declares queues and exchanges, on their first use on each connection.

Declaring an existing queue changes nothing, and nothing is ever deleted to make a declaration fit.
"""

import asyncio
import random
from collections.abc import Iterable, Iterator

from pamqp import commands
from pamqp.base import Frame
from pamqp.common import FieldValue

from asynctasq_rabbitmq.channel import Channel
from asynctasq_rabbitmq.errors import ChannelClosed, translated
from asynctasq_rabbitmq.ladder import LEVELS, pattern
from asynctasq_rabbitmq.link import Link
from asynctasq_rabbitmq.names import Names

#: The broker's delivery limit, practically none: the engine limits attempts. Explicit, since the
#: default differs between releases, and the arguments of a queue must not.
DELIVERY_LIMIT = 1_000_000_000

#: Numbers for consuming connections, and how often one is drawn until a free one is found.
SLOTS = 4096
DRAWS = 20
RESOURCE_LOCKED = 405

_DURABLE: dict[str, FieldValue] = {"x-queue-type": "quorum", "x-delivery-limit": DELIVERY_LIMIT}
#: A message leaves its queue for another only after it is stored there.
_FORWARDING: dict[str, FieldValue] = {
    **_DURABLE,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}


class Topology:
    """The queues and exchanges declared over one connection."""

    def __init__(self, link: Link, names: Names) -> None:
        self._link = link
        self._names = names
        self._channel: Channel | None = None
        self._declaring = asyncio.Lock()
        self._known: set[str] = set()
        self._dead: set[str] = set()
        self._has_ladder = False
        self._slot: int | None = None
        self._marks: set[str] = set()

    async def ensure(self, queues: Iterable[str]) -> None:
        """Declare those of `queues` that are not declared yet.

        Raises `BrokerRejected` with the queue's name if it exists with other arguments.
        """
        if set(queues) - self._known:
            async with self._declaring:
                missing = set(queues) - self._known
                await self._call(frame for queue in sorted(missing) for frame in self._queue(queue))
                self._known |= missing

    async def ensure_dead(self, queues: Iterable[str]) -> None:
        """Declare the dead-letter queues of `queues`.

        Only with the first dead message: a quorum queue costs the broker a Raft cluster.
        """
        if set(queues) - self._dead:
            async with self._declaring:
                missing = set(queues) - self._dead
                names = [self._names.dead(queue) for queue in sorted(missing)]
                await self._call(
                    commands.Queue.Declare(queue=name, durable=True, arguments=_DURABLE)
                    for name in names
                )
                self._dead |= missing

    async def ensure_ladder(self) -> None:
        """Declare the delay ladder, unless it exists."""
        if not self._has_ladder:
            async with self._declaring:
                top = self._names.level(LEVELS - 1)
                if not self._has_ladder and not await self._exists(top):
                    await self._call(self._ladder())
                self._has_ladder = True

    def forget(self, queues: Iterable[str]) -> None:
        """Declare `queues` again before their next use."""
        self._known.difference_update(queues)
        self._dead.difference_update(queues)

    async def rebuild_ladder(self) -> None:
        """Declare all levels of the ladder, even if they exist."""
        async with self._declaring:
            await self._call(self._ladder())

    async def mark(self, queue: str) -> None:
        """Mark the queue that has this name now; a later queue of the same name has no mark.

        The mark is an exchange bound only to this queue, so the broker deletes it with the queue.
        Its name contains a number that only this connection uses.
        """
        async with self._declaring:
            name = self._names.mark(queue, await self._own_slot())
            self._marks.add(name)
            await self._call(
                (
                    commands.Exchange.Declare(exchange=name, auto_delete=True),
                    commands.Queue.Bind(queue=self._names.queue(queue), exchange=name),
                )
            )

    async def unmark(self) -> None:
        """Remove all marks of this connection."""
        async with self._declaring:
            await self._call(commands.Exchange.Delete(exchange=name) for name in self._marks)
            self._marks.clear()

    async def is_marked(self, queue: str) -> bool:
        """Whether the queue of this name is the one that was marked."""
        async with self._declaring:
            return await self._exists(self._names.mark(queue, await self._own_slot()))

    async def counts(self, names: Iterable[str]) -> list[int | None]:
        """Return the ready messages of each of the broker's queues; None if it does not exist."""
        return [await self._count(name) for name in names]

    async def _count(self, name: str) -> int | None:
        async with self._declaring:
            channel = await self._open()
            frame = commands.Queue.Declare(queue=name, passive=True)
            try:
                reply = await channel.call(frame, commands.Queue.DeclareOk)
            except ChannelClosed as error:
                if error.code == 404:
                    return None
                raise translated(error, self._link.location) from error
            return reply.message_count

    async def _own_slot(self) -> int:
        """Return this connection's number, reserved by an exclusive queue until it ends."""
        draws = 0
        while self._slot is None and draws < DRAWS:
            draws += 1
            number = random.randrange(SLOTS)
            frame = commands.Queue.Declare(queue=self._names.slot(number), exclusive=True)
            try:
                await (await self._open()).call(frame, commands.Queue.DeclareOk)
                self._slot = number
            except ChannelClosed as error:
                if error.code != RESOURCE_LOCKED:
                    raise translated(error, self._link.location) from error
        if self._slot is None:  # thousands of connections: draw from a range without collisions
            self._slot = random.randrange(SLOTS, 2**62)
        return self._slot

    async def _exists(self, exchange: str) -> bool:
        channel = await self._open()
        frame = commands.Exchange.Declare(exchange=exchange, passive=True)
        try:
            await channel.call(frame, commands.Exchange.DeclareOk)
        except ChannelClosed as error:
            if error.code == 404:
                return False
            raise translated(error, self._link.location) from error
        return True

    async def _call(self, frames: Iterable[Frame]) -> None:
        channel = await self._open()
        try:
            for answer in [channel.send(frame) for frame in frames]:
                await channel.answer(answer)
        except ChannelClosed as error:
            raise translated(error, self._link.location) from error

    async def _open(self) -> Channel:
        if self._channel is None or self._channel.closed is not None:
            self._channel = await self._link.channel()
        return self._channel

    def _queue(self, queue: str) -> Iterator[Frame]:
        names = self._names
        ready = names.queue(queue)
        dead_letters: dict[str, FieldValue] = {
            **_FORWARDING,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": names.dead(queue),
        }
        yield commands.Exchange.Declare(exchange=names.due, exchange_type="topic", durable=True)
        yield commands.Queue.Declare(queue=ready, durable=True, arguments=dead_letters)
        key = f"#.{names.word(queue)}"
        yield commands.Queue.Bind(queue=ready, exchange=names.due, routing_key=key)

    def _ladder(self) -> Iterator[Frame]:
        """Yield the levels from the bottom: if the top exchange exists, all levels do."""
        below = self._names.due
        yield commands.Exchange.Declare(exchange=below, exchange_type="topic", durable=True)
        for number in range(LEVELS):
            name = self._names.level(number)
            waiting: dict[str, FieldValue] = {
                **_FORWARDING,
                "x-message-ttl": 2**number,
                "x-dead-letter-exchange": below,
            }
            yield commands.Queue.Declare(queue=name, durable=True, arguments=waiting)
            yield commands.Exchange.Declare(exchange=name, exchange_type="topic", durable=True)
            waits, goes_on = pattern(number, 1), pattern(number, 0)
            yield commands.Queue.Bind(queue=name, exchange=name, routing_key=waits)
            yield commands.Exchange.Bind(destination=below, source=name, routing_key=goes_on)
            below = name
