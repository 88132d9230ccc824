"""Publishes with confirms: sends a whole batch before it waits for the first confirm."""

import asyncio
import enum
import itertools
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pamqp import commands
from pamqp.common import FieldValue

from asynctasq.errors import BrokerUnavailable
from asynctasq_rabbitmq.channel import Channel
from asynctasq_rabbitmq.content import Content, encode_content, encode_publish
from asynctasq_rabbitmq.errors import ChannelClosed, LinkLost
from asynctasq_rabbitmq.link import Link

#: Messages written before the send buffer is drained.
CHUNK = 200
#: Seconds to wait for a broker that blocks publishers.
BLOCKED_LIMIT = 5.0
#: Seconds in which the next confirm must arrive.
CONFIRM_LIMIT = 30.0


class Fate(enum.Enum):
    """The result of publishing a message."""

    STORED = "stored"
    UNROUTABLE = "unroutable"  #: its queue does not exist
    REFUSED = "refused"  #: its queue accepts no more messages
    UNKNOWN = "unknown"  #: the connection was lost before a confirm


@dataclass(frozen=True, slots=True)
class Publication:
    """A message with its exchange and routing key."""

    exchange: str
    key: str
    id: str
    body: bytes
    headers: Mapping[str, FieldValue]


class _Batch:
    """The publications of one call, and their results so far."""

    def __init__(self, items: Sequence[Publication]) -> None:
        self.items = items
        self.fates = [Fate.UNKNOWN] * len(items)
        self.open = len(items)
        self.ended = asyncio.Event()

    def set(self, index: int, fate: Fate) -> None:
        if self.fates[index] is not Fate.UNROUTABLE:  # a returned message is confirmed, too
            self.fates[index] = fate
        self.open -= 1
        if not self.open:
            self.ended.set()


class Publisher:
    """The publishing channel of a link."""

    def __init__(self, link: Link, channel: Channel) -> None:
        self._link = link
        self._channel = channel
        self._published = 0
        self._open: dict[int, tuple[_Batch, int]] = {}
        channel.on_confirm = self._confirmed
        channel.on_return = self._returned
        channel.on_closed = self._ended

    @classmethod
    async def open(cls, link: Link) -> "Publisher":
        """Open the channel."""
        channel = await link.channel()
        await channel.call(commands.Confirm.Select(), commands.Confirm.SelectOk)
        return cls(link, channel)

    @property
    def is_open(self) -> bool:
        """Whether the channel is open."""
        return self._channel.closed is None

    async def publish(self, items: Sequence[Publication]) -> Sequence[Fate]:
        """Publish a batch, and return the result of each message.

        Raises `BrokerUnavailable` if the broker accepts no messages now, `ChannelClosed` if it
        refused the call and stored nothing.
        """
        await self._wait_until_unblocked()
        batch = _Batch(items)
        with suppress(LinkLost, ChannelClosed):  # the fates show which messages are stored
            for start in range(0, len(items), CHUNK):
                self._write(batch, start, min(start + CHUNK, len(items)))
                await self._link.drain()
            await self._wait_for_confirms(batch)
        refusal = self._channel.closed
        if isinstance(refusal, ChannelClosed) and set(batch.fates) <= {Fate.UNKNOWN}:
            raise refusal
        return batch.fates

    def _write(self, batch: _Batch, start: int, end: int) -> None:
        number = self._channel.number
        parts: list[bytes] = []
        for index in range(start, end):
            item = batch.items[index]
            parts += (
                encode_publish(number, item.exchange, item.key),
                encode_content(number, item.id, item.body, item.headers, self._link.frame_max),
            )
            self._published += 1
            self._open[self._published] = (batch, index)
        self._channel.write(b"".join(parts))

    async def _wait_for_confirms(self, batch: _Batch) -> None:
        before = len(batch.items) + 1
        while batch.open and batch.open < before:
            before = batch.open
            limit = BLOCKED_LIMIT if self._link.blocked else CONFIRM_LIMIT
            with suppress(TimeoutError):
                async with asyncio.timeout(limit):
                    await batch.ended.wait()
        if batch.open and self._channel.closed is None:
            if not self._link.blocked:
                self._link.abort("messages are not confirmed")
            elif Fate.STORED not in batch.fates:
                raise self._blocked()

    async def _wait_until_unblocked(self) -> None:
        if self._link.blocked is None:
            return
        try:
            async with asyncio.timeout(BLOCKED_LIMIT):
                await self._link.unblocked.wait()
        except TimeoutError:
            raise self._blocked() from None

    def _blocked(self) -> BrokerUnavailable:
        return BrokerUnavailable(
            f"RabbitMQ at {self._link.location} accepts no messages now: {self._link.blocked}"
        )

    def _confirmed(self, tag: int, multiple: bool, stored: bool) -> None:
        fate = Fate.STORED if stored else Fate.REFUSED
        tags = [tag]
        if multiple:
            # the keys are in the order of tags
            tags = list(itertools.takewhile(lambda number: number <= tag, self._open))
        for number in tags:
            if (entry := self._open.pop(number, None)) is not None:
                batch, index = entry
                batch.set(index, fate)

    def _returned(self, exchange: str, key: str, content: Content) -> None:
        address = (exchange, key, content.id)
        for batch, index in self._open.values():
            item = batch.items[index]
            unknown = batch.fates[index] is Fate.UNKNOWN
            if unknown and (item.exchange, item.key, item.id) == address:
                batch.fates[index] = Fate.UNROUTABLE
                return

    def _ended(self, reason: ChannelClosed | LinkLost) -> None:
        for batch, _ in self._open.values():
            batch.ended.set()
        self._open.clear()
