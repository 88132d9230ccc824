"""Publishes messages to a queue, the delay ladder, or the dead-letter queue."""

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

#: Longest note in bytes, else truncated: the headers of a message must fit in one frame.
LONGEST_NOTE = 64 * 1024
NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to store.

    Attributes:
        attempts: attempts counted so far.
        delay: seconds.
        note: the error of a dead message, else None.
        abandoned: the previous attempt ended without an outcome.
    """

    id: str
    queue: str
    body: bytes
    attempts: int = 0
    delay: float = 0.0
    note: str | None = None
    abandoned: bool = False


class Sender:
    """Sends messages over the publishing connection.

    Args:
        connect: returns the connection's publisher and topology.
        on_send: called with each batch before it is sent.
        on_missing: called with deleted queues before they are declared again.
        location: of the broker, for error messages.
    """

    def __init__(
        self,
        names: Names,
        connect: Callable[[], Awaitable[tuple[Publisher, Topology]]],
        on_send: Callable[[Sequence[OutgoingMessage]], None],
        on_missing: Callable[[set[str]], Awaitable[None]],
        location: str,
    ) -> None:
        self._names = names
        self._connect = connect
        self._on_send = on_send
        self._on_missing = on_missing
        self._location = location

    async def send(self, messages: Sequence[OutgoingMessage]) -> Sequence[BrokerError | None]:
        """Store `messages`; return the error of each, None for those stored.

        Raises `BrokerUnavailable` or `BrokerRejected` if none of them was sent.
        """
        try:
            return await self._send(messages) if messages else []
        except (ChannelClosed, LinkLost) as error:
            raise translated(error, self._location) from error

    async def _send(self, messages: Sequence[OutgoingMessage]) -> Sequence[BrokerError | None]:
        publisher, topology = await self._connect()
        errors = await self._declare(topology, messages)
        ready = [i for i, error in enumerate(errors) if error is None]
        try:
            fates = await self._publish(publisher, [messages[i] for i in ready])
        except ChannelClosed as error:
            if error.code != NOT_FOUND:
                raise
            fates = [Fate.UNROUTABLE] * len(ready)  # an exchange of the ladder was deleted
        missing: list[int] = []  # their queues were deleted after they were declared
        for i, fate in zip(ready, fates, strict=True):
            errors[i] = _error(fate, messages[i])
            if fate is Fate.UNROUTABLE:
                missing.append(i)
        if missing:
            results = await self._resend([messages[i] for i in missing])
            for i, error in zip(missing, results, strict=True):
                errors[i] = error
        return errors

    async def _resend(self, messages: Sequence[OutgoingMessage]) -> Sequence[BrokerError | None]:
        """Declare missing queues and send again; errors are returned: others are stored already."""
        try:
            return await self._redeclare_and_send(messages)
        except BrokerError as error:
            return [error] * len(messages)
        except (ChannelClosed, LinkLost) as error:
            return [translated(error, self._location)] * len(messages)

    async def _redeclare_and_send(
        self, messages: Sequence[OutgoingMessage]
    ) -> Sequence[BrokerError | None]:
        publisher, topology = await self._connect()
        topology.forget({message.queue for message in messages})
        await self._on_missing({message.queue for message in messages if not message.delay})
        await self._declare_all(topology, messages)
        if any(message.delay for message in messages):
            await topology.rebuild_ladder()
        fates = await self._publish(publisher, messages)
        return [_error(fate, message) for fate, message in zip(fates, messages, strict=True)]

    async def _declare(
        self, topology: Topology, messages: Sequence[OutgoingMessage]
    ) -> list[BrokerError | None]:
        """Declare the queues of `messages`; return the error of each message's own queue."""
        try:
            await self._declare_all(topology, messages)
        except BrokerError as error:
            groups: dict[tuple[str, bool, bool], list[int]] = {}
            for i, message in enumerate(messages):
                key = (message.queue, message.note is None, message.delay > 0)
                groups.setdefault(key, []).append(i)
            if len(groups) == 1:
                raise
            errors: list[BrokerError | None] = [error] * len(messages)
            for group in groups.values():
                group_error = await self._declare_one(topology, messages[group[0]])
                for i in group:
                    errors[i] = group_error
            return errors
        return [None] * len(messages)

    async def _declare_one(
        self, topology: Topology, message: OutgoingMessage
    ) -> BrokerError | None:
        try:
            await self._declare_all(topology, [message])
        except BrokerError as error:
            return error
        return None

    async def _declare_all(self, topology: Topology, messages: Sequence[OutgoingMessage]) -> None:
        self._on_send(messages)
        await topology.ensure({message.queue for message in messages if message.note is None})
        await topology.ensure_dead(
            {message.queue for message in messages if message.note is not None}
        )
        if any(message.delay for message in messages):
            await topology.ensure_ladder()

    async def _publish(
        self, publisher: Publisher, messages: Sequence[OutgoingMessage]
    ) -> Sequence[Fate]:
        return await publisher.publish([self._addressed(message) for message in messages])

    def _addressed(self, message: OutgoingMessage) -> Publication:
        headers: dict[str, FieldValue] = {ATTEMPTS: message.attempts} if message.attempts else {}
        if message.abandoned:
            headers[ABANDONED] = True
        exchange = ""
        if message.note is not None:
            key = self._names.dead(message.queue)
            note = message.note.encode(errors="replace")[:LONGEST_NOTE]
            headers[NOTE] = note.decode(errors="ignore")
            headers[DIED] = time.time_ns() // 1000
        elif message.delay:
            delay = milliseconds(message.delay)
            exchange = self._names.level(top_level(delay))
            key = routing_key(delay, self._names.word(message.queue))
        else:
            key = self._names.queue(message.queue)
        return Publication(exchange, key, message.id, message.body, headers)


def _error(fate: Fate, message: OutgoingMessage) -> BrokerError | None:
    if fate is Fate.STORED:
        return None
    reasons = {
        Fate.UNROUTABLE: f"queue {message.queue} was deleted while in use",
        Fate.REFUSED: f"queue {message.queue} accepts no more messages: a policy limits its length,"
        " or it is being deleted",
    }
    default = "the connection to RabbitMQ ended, or blocked, before the message was confirmed"
    return BrokerUnavailable(reasons.get(fate, default))
