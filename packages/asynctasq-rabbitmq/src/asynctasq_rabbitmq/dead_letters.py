"""Dead messages, looked at by taking all of a queue's and giving back what stays.

AMQP shows a message only to whoever holds it. So while one looks, nobody else sees them; what
is cut off in the middle comes back with the end of the channel.
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

#: Messages asked for before the first is waited for.
AHEAD = 500
#: Seconds in which messages that were given back must be there again.
RETURN_LIMIT = 3.0
RETURN_STEP = 0.01


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead message that is held just now."""

    tag: int
    content: Content


class DeadLetters:
    """The messages of a queue while they are held on a channel."""

    def __init__(self, channel: Channel, items: list[DeadLetter]) -> None:
        self._channel = channel
        self.items = items
        self.rest = len(items)

    def remove(self, items: Iterable[DeadLetter]) -> None:
        """Remove messages for good."""
        number = self._channel.number
        for item in items:
            self._channel.write(encode_ack(number, item.tag, multiple=False))
            self.rest -= 1


@asynccontextmanager
async def dead_letters(channel: Channel, name: str) -> AsyncGenerator[DeadLetters]:
    """Hold all messages of the broker's queue `name`, and give back those not removed."""
    try:
        try:
            items = await _take_all(channel, name)
        except ChannelClosed as error:
            if error.code != 404:
                raise
            items = []  # there is no such queue yet
        held = DeadLetters(channel, items)
        yield held
        await _give_back(channel, name, held.rest)
    finally:
        await channel.close()


async def _give_back(channel: Channel, name: str, rest: int) -> None:
    """Give back what is held, and wait until the broker shows these messages again."""
    if not rest:
        return
    nack = commands.Basic.Nack(delivery_tag=0, multiple=True, requeue=True)
    channel.write(marshal(nack, channel.number))
    passive = commands.Queue.Declare(queue=name, passive=True)
    deadline = time.monotonic() + RETURN_LIMIT
    while time.monotonic() < deadline:
        reply = await channel.call(passive, commands.Queue.DeclareOk)
        if (reply.message_count or 0) >= rest:
            return
        await asyncio.sleep(RETURN_STEP)


async def _take_all(channel: Channel, name: str) -> list[DeadLetter]:
    passive = commands.Queue.Declare(queue=name, passive=True)
    count = (await channel.call(passive, commands.Queue.DeclareOk)).message_count or 0
    taken: list[DeadLetter] = []
    while True:
        ahead = min(max(1, count - len(taken)), AHEAD)
        answers = [channel.send(commands.Basic.Get(queue=name)) for _ in range(ahead)]
        for answer in answers:
            got = await channel.answer(answer)
            if not isinstance(got, tuple):  # there is no more
                return taken
            tag, content = cast(tuple[int, Content], got)
            taken.append(DeadLetter(tag, content))
