"""Publishing with confirms: all of a batch on its way before the first is waited for."""

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

#: Messages written at once, before the operating system is given time to send them.
CHUNK = 200
#: Seconds in which a broker must take messages again after it stopped to.
BLOCKED_LIMIT = 5.0
#: Seconds in which the next confirm must come.
CONFIRM_LIMIT = 30.0


class Fate(enum.Enum):
    """What became of a published message."""

    STORED = "stored"
    UNROUTABLE = "unroutable"  #: its queue does not exist
    REFUSED = "refused"  #: its queue takes no more
    UNKNOWN = "unknown"  #: the connection was lost


@dataclass(frozen=True, slots=True)
class Publication:
    """A message with its way."""

    exchange: str
    key: str
    id: str
    body: bytes
    headers: Mapping[str, FieldValue]


class _Batch:
    """Publications of one call, and what is known of them."""

    def __init__(self, items: Sequence[Publication]) -> None:
        self.items = items
        self.fates = [Fate.UNKNOWN] * len(items)
        self.open = len(items)
        self.ended = asyncio.Event()

    def set(self, index: int, fate: Fate) -> None:
        if self.fates[index] is not Fate.UNROUTABLE:  # it is confirmed after its return, too
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
        """Whether it can be used."""
        return self._channel.closed is None

    async def publish(self, items: Sequence[Publication]) -> Sequence[Fate]:
        """What became of each.

        Raises `BrokerUnavailable` if the broker takes none now, `ChannelClosed` if it refused
        the call and stored nothing.
        """
        await self._wait_until_unblocked()
        batch = _Batch(items)
        with suppress(LinkLost, ChannelClosed):  # fates tell how far it came
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
            f"RabbitMQ at {self._link.location} takes no messages now: {self._link.blocked}"
        )

    def _confirmed(self, tag: int, multiple: bool, stored: bool) -> None:
        fate = Fate.STORED if stored else Fate.REFUSED
        tags = [tag]
        if multiple:
            # in the order of tags
            tags = list(itertools.takewhile(lambda one: one <= tag, self._open))
        for one in tags:
            if (entry := self._open.pop(one, None)) is not None:
                batch, index = entry
                batch.set(index, fate)

    def _returned(self, exchange: str, key: str, content: Content) -> None:
        way = (exchange, key, content.id)
        for batch, index in self._open.values():
            item = batch.items[index]
            unknown = batch.fates[index] is Fate.UNKNOWN
            if unknown and (item.exchange, item.key, item.id) == way:
                batch.fates[index] = Fate.UNROUTABLE
                return

    def _ended(self, reason: ChannelClosed | LinkLost) -> None:
        for batch, _ in self._open.values():
            batch.ended.set()
        self._open.clear()
