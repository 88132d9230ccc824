"""Sending messages to where they belong: a queue, a delay before it, or the dead."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pamqp.common import FieldValue

from asynctasq.errors import BrokerError, BrokerUnavailable
from asynctasq_rabbitmq.content import ATTEMPTS, DIED, NOTE
from asynctasq_rabbitmq.ladder import milliseconds, routing_key, top_level
from asynctasq_rabbitmq.names import Names
from asynctasq_rabbitmq.publisher import Fate, Publication, Publisher
from asynctasq_rabbitmq.topology import Topology

#: Bytes of a note that are kept: the headers of a message must fit in one frame.
LONGEST_NOTE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to be stored.

    Attributes:
        attempts: deliveries that count already.
        delay: seconds.
        note: why it is dead; None while it lives.
    """

    id: str
    queue: str
    body: bytes
    attempts: int = 0
    delay: float = 0.0
    note: str | None = None


class Mail:
    """Sends letters over the publishing connection.

    Args:
        connect: gives the connection's publisher and topology.
        note: called with what is sent.
        missing: called with queues that turn out to be deleted, before they are declared.
    """

    def __init__(
        self,
        names: Names,
        connect: Callable[[], Awaitable[tuple[Publisher, Topology]]],
        note: Callable[[Sequence[Letter]], None],
        missing: Callable[[set[str]], Awaitable[None]],
    ) -> None:
        self._names = names
        self._connect = connect
        self._note = note
        self._missing = missing

    async def send(self, letters: Sequence[Letter]) -> Sequence[BrokerError | None]:
        """Store `letters`; for each, what went wrong.

        Raises `BrokerUnavailable` or `BrokerRejected` when none of them was sent.
        """
        if not letters:
            return []
        publisher, topology = await self._connect()
        await self._declare(topology, letters)
        fates = list(await self._publish(publisher, letters))
        lost = [i for i, fate in enumerate(fates) if fate is Fate.UNROUTABLE]
        if lost:  # somebody deleted a queue since it was declared
            again = [letters[i] for i in lost]
            for i, fate in zip(lost, await self._send_again(again), strict=True):
                fates[i] = fate
        return [_error(fate, one) for fate, one in zip(fates, letters, strict=True)]

    async def send_all(self, letters: Sequence[Letter]) -> None:
        """Store all of `letters`, or raise."""
        if letters:
            for error in await self.send(letters):
                if error is not None:
                    raise error

    async def _send_again(self, letters: Sequence[Letter]) -> Sequence[Fate]:
        """Declare what is missing, and publish."""
        publisher, topology = await self._connect()
        topology.forget({one.queue for one in letters})
        await self._missing({one.queue for one in letters if not one.delay})
        await self._declare(topology, letters)
        if any(one.delay for one in letters):
            await topology.rebuild_ladder()
        return await self._publish(publisher, letters)

    async def _declare(self, topology: Topology, letters: Sequence[Letter]) -> None:
        self._note(letters)
        await topology.ensure({one.queue for one in letters if one.note is None})
        await topology.ensure_dead({one.queue for one in letters if one.note is not None})
        if any(one.delay for one in letters):
            await topology.ensure_ladder()

    async def _publish(self, publisher: Publisher, letters: Sequence[Letter]) -> Sequence[Fate]:
        return await publisher.publish([self._addressed(one) for one in letters])

    def _addressed(self, letter: Letter) -> Publication:
        headers: dict[str, FieldValue] = {ATTEMPTS: letter.attempts} if letter.attempts else {}
        exchange = ""
        if letter.note is not None:
            key = self._names.dead(letter.queue)
            headers[NOTE] = letter.note.encode()[:LONGEST_NOTE].decode(errors="ignore")
            headers[DIED] = time.time_ns() // 1000
        elif letter.delay:
            delay = milliseconds(letter.delay)
            exchange = self._names.level(top_level(delay))
            key = routing_key(delay, self._names.word(letter.queue))
        else:
            key = self._names.queue(letter.queue)
        return Publication(exchange, key, letter.id, letter.body, headers)


def _error(fate: Fate, letter: Letter) -> BrokerError | None:
    if fate is Fate.STORED:
        return None
    why = {
        Fate.UNROUTABLE: f"queue {letter.queue} is deleted while it is used",
        Fate.REFUSED: f"queue {letter.queue} takes no more messages; a policy limits its length",
    }
    default = "the connection to RabbitMQ ended before the message was confirmed"
    return BrokerUnavailable(why.get(fate, default))
