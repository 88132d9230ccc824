"""Reads dead messages: takes all of a dead-letter queue, and requeues the remaining ones.

AMQP shows a message only to its holder. So other readers do not see dead messages meanwhile; an
interrupted read returns them when its channel ends.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from pamqp import commands
from pamqp.frame import marshal

from asynctasq_rabbitmq.channel import Channel
from asynctasq_rabbitmq.content import Content, encode_ack
from asynctasq_rabbitmq.errors import ChannelClosed

#: Maximum number of pipelined basic.get.
PIPELINED = 500
#: Seconds to wait until requeued messages are ready again.
RETURN_LIMIT = 3.0
RETURN_STEP = 0.01


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead message held on a channel."""

    tag: int
    content: Content


class DeadLetters:
    """The messages of a queue while they are held on a channel."""

    def __init__(self, channel: Channel, items: list[DeadLetter]) -> None:
        self._channel = channel
        self.items = items
        self.remaining = len(items)

    def remove(self, items: Iterable[DeadLetter]) -> None:
        """Remove messages permanently."""
        number = self._channel.number
        for item in items:
            self._channel.write(encode_ack(number, item.tag, multiple=False))
            self.remaining -= 1


@asynccontextmanager
async def dead_letters(channel: Channel, name: str) -> AsyncGenerator[DeadLetters]:
    """Hold all messages of the broker's queue `name`, and requeue those not removed."""
    try:
        try:
            items = await _take_all(channel, name)
        except ChannelClosed as error:
            if error.code != 404:
                raise
            items = []  # the queue is not declared yet
        held = DeadLetters(channel, items)
        yield held
        await _give_back(channel, name, held.remaining)
    finally:
        await channel.close()


async def _give_back(channel: Channel, name: str, remaining: int) -> None:
    """Requeue held messages, and wait until the broker counts them as ready again."""
    if not remaining:
        return
    nack = commands.Basic.Nack(delivery_tag=0, multiple=True, requeue=True)
    channel.write(marshal(nack, channel.number))
    passive = commands.Queue.Declare(queue=name, passive=True)
    deadline = time.monotonic() + RETURN_LIMIT
    while time.monotonic() < deadline:
        reply = await channel.call(passive, commands.Queue.DeclareOk)
        if (reply.message_count or 0) >= remaining:
            return
        await asyncio.sleep(RETURN_STEP)


async def _take_all(channel: Channel, name: str) -> list[DeadLetter]:
    passive = commands.Queue.Declare(queue=name, passive=True)
    count = (await channel.call(passive, commands.Queue.DeclareOk)).message_count or 0
    taken: list[DeadLetter] = []
    while True:
        batch = min(max(1, count - len(taken)), PIPELINED)
        answers = [channel.send(commands.Basic.Get(queue=name)) for _ in range(batch)]
        for answer in answers:
            got = await channel.answer(answer)
            if not isinstance(got, tuple):  # the queue is empty
                return taken
            tag, content = cast(tuple[int, Content], got)
            taken.append(DeadLetter(tag, content))
