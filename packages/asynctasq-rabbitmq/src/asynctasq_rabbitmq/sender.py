"""Sending messages to where they belong: a queue, a delay before it, or the dead."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pamqp.common import FieldValue

from asynctasq.errors import BrokerError, BrokerUnavailable
from asynctasq_rabbitmq.content import ABANDONED, ATTEMPTS, DIED, NOTE
from asynctasq_rabbitmq.errors import ChannelClosed, LinkLost, translated
from asynctasq_rabbitmq.ladder import milliseconds, routing_key, top_level
from asynctasq_rabbitmq.names import Names
from asynctasq_rabbitmq.publisher import Fate, Publication, Publisher
from asynctasq_rabbitmq.topology import Topology

#: Bytes of a note that are kept: the headers of a message must fit in one frame.
LONGEST_NOTE = 64 * 1024
NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to be stored.

    Attributes:
        attempts: deliveries that count already.
        delay: seconds.
        note: why it is dead; None while it lives.
        abandoned: the attempt before ended without an outcome.
    """

    id: str
    queue: str
    body: bytes
    attempts: int = 0
    delay: float = 0.0
    note: str | None = None
    abandoned: bool = False


class Mail:
    """Sends letters over the publishing connection.

    Args:
        connect: gives the connection's publisher and topology.
        note: called with what is sent.
        missing: called with queues that turn out to be deleted, before they are declared.
        location: of the broker, for errors.
    """

    def __init__(
        self,
        names: Names,
        connect: Callable[[], Awaitable[tuple[Publisher, Topology]]],
        note: Callable[[Sequence[Letter]], None],
        missing: Callable[[set[str]], Awaitable[None]],
        location: str,
    ) -> None:
        self._names = names
        self._connect = connect
        self._note = note
        self._missing = missing
        self._location = location

    async def send(self, letters: Sequence[Letter]) -> Sequence[BrokerError | None]:
        """Store `letters`; for each, what went wrong.

        Raises `BrokerUnavailable` or `BrokerRejected` when none of them was sent.
        """
        try:
            return await self._send(letters) if letters else []
        except (ChannelClosed, LinkLost) as error:
            raise translated(error, self._location) from error

    async def _send(self, letters: Sequence[Letter]) -> Sequence[BrokerError | None]:
        publisher, topology = await self._connect()
        errors = await self._declare(topology, letters)
        ready = [i for i, error in enumerate(errors) if error is None]
        try:
            fates = await self._publish(publisher, [letters[i] for i in ready])
        except ChannelClosed as error:
            if error.code != NOT_FOUND:
                raise
            fates = [Fate.UNROUTABLE] * len(ready)  # the exchange of a delay is deleted
        missing: list[int] = []  # somebody deleted their queues since they were declared
        for i, fate in zip(ready, fates, strict=True):
            errors[i] = _error(fate, letters[i])
            if fate is Fate.UNROUTABLE:
                missing.append(i)
        if missing:
            again = await self._sent_again([letters[i] for i in missing])
            for i, error in zip(missing, again, strict=True):
                errors[i] = error
        return errors

    async def _sent_again(self, letters: Sequence[Letter]) -> Sequence[BrokerError | None]:
        """Declare what is missing, and publish; what was sent before is stored in any case."""
        try:
            return await self._send_again(letters)
        except BrokerError as error:
            return [error] * len(letters)
        except (ChannelClosed, LinkLost) as error:
            return [translated(error, self._location)] * len(letters)

    async def _send_again(self, letters: Sequence[Letter]) -> Sequence[BrokerError | None]:
        publisher, topology = await self._connect()
        topology.forget({one.queue for one in letters})
        await self._missing({one.queue for one in letters if not one.delay})
        await self._declare_all(topology, letters)
        if any(one.delay for one in letters):
            await topology.rebuild_ladder()
        fates = await self._publish(publisher, letters)
        return [_error(fate, one) for fate, one in zip(fates, letters, strict=True)]

    async def _declare(
        self, topology: Topology, letters: Sequence[Letter]
    ) -> list[BrokerError | None]:
        """Declare the queues of `letters`; for each letter, what went wrong with its own."""
        try:
            await self._declare_all(topology, letters)
        except BrokerError as error:
            groups: dict[tuple[str, bool, bool], list[int]] = {}
            for i, one in enumerate(letters):
                key = (one.queue, one.note is None, one.delay > 0)
                groups.setdefault(key, []).append(i)
            if len(groups) == 1:
                raise
            errors: list[BrokerError | None] = [error] * len(letters)
            for group in groups.values():
                found = await self._declared(topology, letters[group[0]])
                for i in group:
                    errors[i] = found
            return errors
        return [None] * len(letters)

    async def _declared(self, topology: Topology, letter: Letter) -> BrokerError | None:
        try:
            await self._declare_all(topology, [letter])
        except BrokerError as error:
            return error
        return None

    async def _declare_all(self, topology: Topology, letters: Sequence[Letter]) -> None:
        self._note(letters)
        await topology.ensure({one.queue for one in letters if one.note is None})
        await topology.ensure_dead({one.queue for one in letters if one.note is not None})
        if any(one.delay for one in letters):
            await topology.ensure_ladder()

    async def _publish(self, publisher: Publisher, letters: Sequence[Letter]) -> Sequence[Fate]:
        return await publisher.publish([self._addressed(one) for one in letters])

    def _addressed(self, letter: Letter) -> Publication:
        headers: dict[str, FieldValue] = {ATTEMPTS: letter.attempts} if letter.attempts else {}
        if letter.abandoned:
            headers[ABANDONED] = True
        exchange = ""
        if letter.note is not None:
            key = self._names.dead(letter.queue)
            note = letter.note.encode(errors="replace")[:LONGEST_NOTE]
            headers[NOTE] = note.decode(errors="ignore")
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
        Fate.REFUSED: f"queue {letter.queue} takes no more messages: a policy limits its length,"
        " or it is being deleted",
    }
    default = "the connection to RabbitMQ ended, or blocked, before the message was confirmed"
    return BrokerUnavailable(why.get(fate, default))
