"""The `Inspector` capability within the limits of AMQP: counts, and dead messages."""

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

from pamqp import commands

from asynctasq.drivers import QueueStats, State, StoredMessage
from asynctasq.errors import BrokerRejected
from asynctasq_rabbitmq.content import ATTEMPTS, DIED, NOTE, Content
from asynctasq_rabbitmq.dead_letters import DeadLetter, DeadLetters, dead_letters
from asynctasq_rabbitmq.errors import ChannelClosed
from asynctasq_rabbitmq.management import Management
from asynctasq_rabbitmq.sender import OutgoingMessage
from asynctasq_rabbitmq.session import Session


class RabbitMQInspector:
    """The methods of `Inspector`."""

    async def connected(self) -> Session:
        """Return the session of the connected driver."""
        raise NotImplementedError

    async def queues(self) -> Sequence[QueueStats]:
        """Count messages of every queue that holds any; see `Inspector.queues`.

        Without a management URL only the queues that this driver has used, without the number of
        running messages; `BrokerRejected` if it has used none. The number of delayed messages is
        always unknown: all queues share the delay ladder.
        """
        session = await self.connected()
        return await session.run(lambda: _queues(session))

    async def counts(self, queues: Sequence[str]) -> Sequence[QueueStats]:
        """Count messages of the given queues; see `Inspector.counts`."""
        session = await self.connected()
        return await session.run(lambda: _counts(session, queues))

    async def browse(
        self, queue: str, state: State, *, limit: int, offset: int = 0
    ) -> Sequence[StoredMessage]:
        """Return dead messages; see `Inspector.browse`."""
        if state is not State.DEAD:
            raise BrokerRejected(
                f"RabbitMQ shows no {state.value} messages; only dead ones can be inspected"
            )
        if limit < 1:
            return []
        session = await self.connected()
        found = await session.run(lambda: _find(session, queue))
        found.sort(key=lambda message: (message.seconds, message.id))
        return found[offset : offset + limit]

    async def find(self, queue: str, ids: Sequence[str]) -> Sequence[StoredMessage]:
        """Return dead messages by id; see `Inspector.find`."""
        if not ids:
            return []
        session = await self.connected()
        dead = await session.run(lambda: _find(session, queue))
        found = {message.id: message for message in dead}
        return [found[message_id] for message_id in ids if message_id in found]

    async def requeue(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Make dead messages deliverable; see `Inspector.requeue`."""
        if not ids:
            return []
        session = await self.connected()
        return await session.run(lambda: _requeue(session, queue, frozenset(ids)))

    async def delete(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove dead messages, and no others; see `Inspector.delete`."""
        if not ids:
            return []
        session = await self.connected()
        return await session.run(lambda: _delete(session, queue, frozenset(ids)))

    async def purge(self, queue: str, state: State) -> int:
        """Remove all ready or all dead messages; see `Inspector.purge`."""
        if state in (State.RUNNING, State.DELAYED):
            raise BrokerRejected(
                f"RabbitMQ cannot purge the {state.value} messages of a queue;"
                " only ready and dead ones"
            )
        session = await self.connected()
        return await session.run(lambda: _purge(session, queue, state))


async def _held(session: Session) -> Mapping[str, int] | None:
    url = session.settings.management_url()
    return await Management(url, session.vhost).held() if url is not None else None


async def _queues(session: Session) -> list[QueueStats]:
    held = await _held(session)
    if held is not None:
        queues = {queue for name in held if (queue := session.names.original(name)) is not None}
    elif session.used:
        queues = set(session.used)
    else:
        raise BrokerRejected("AMQP does not list queues; set rabbitmq_management_url")
    stats = await _stats(session, sorted(queues), held)
    return [
        queue
        for queue in stats
        if queue.unfinished
        or queue.dead
        or session.holds(queue.queue)
        or session.delays(queue.queue)
    ]


async def _counts(session: Session, queues: Sequence[str]) -> list[QueueStats]:
    return await _stats(session, queues, await _held(session)) if queues else []


async def _stats(
    session: Session, queues: Sequence[str], held: Mapping[str, int] | None
) -> list[QueueStats]:
    names = session.names
    topology, _ = await session.consuming()
    async with session.moving:
        buffered = [session.buffered(queue) for queue in queues]
        ready = await topology.counts(names.queue(queue) for queue in queues)
    dead = await topology.counts(names.dead(queue) for queue in queues)
    return [
        QueueStats(
            queue,
            ready=(ready[i] or 0) + buffered[i],
            delayed=None,
            running=None if held is None else held.get(names.queue(queue), 0),
            dead=dead[i] or 0,
            oldest=None,
        )
        for i, queue in enumerate(queues)
    ]


@asynccontextmanager
async def _dead(session: Session, queue: str) -> AsyncGenerator[DeadLetters]:
    async with session.inspecting:
        session.used.add(queue)
        _, link = await session.consuming()
        async with dead_letters(await link.channel(), session.names.dead(queue)) as held:
            yield held


async def _find(session: Session, queue: str) -> list[StoredMessage]:
    async with _dead(session, queue) as held:
        now = time.time()
        return [_stored(queue, item.content, now) for item in held.items]


async def _requeue(session: Session, queue: str, ids: frozenset[str]) -> list[str]:
    async with _dead(session, queue) as held:
        chosen = _chosen(held.items, ids)
        messages = [OutgoingMessage(item.content.id, queue, item.content.body) for item in chosen]
        errors = await session.sender.send(messages)
        moved = [item for item, error in zip(chosen, errors, strict=True) if error is None]
        held.remove(moved)
        for error in errors:
            if error is not None and not moved:
                raise error
        return _ids(moved)


async def _delete(session: Session, queue: str, ids: frozenset[str]) -> list[str]:
    async with _dead(session, queue) as held:
        chosen = _chosen(held.items, ids)
        held.remove(chosen)
        return _ids(chosen)


async def _purge(session: Session, queue: str, state: State) -> int:
    name = session.names.dead(queue) if state is State.DEAD else session.names.queue(queue)
    if state is State.READY:
        await session.hand_back(queue)
    _, link = await session.consuming()
    channel = await link.channel()
    try:
        frame = commands.Queue.Purge(queue=name)
        reply = await channel.call(frame, commands.Queue.PurgeOk)
        await channel.close()
    except ChannelClosed as error:
        if error.code == 404:
            return 0
        raise
    return reply.message_count or 0


def _chosen(items: Sequence[DeadLetter], ids: frozenset[str]) -> list[DeadLetter]:
    return [item for item in items if item.content.id in ids]


def _ids(items: Sequence[DeadLetter]) -> list[str]:
    return list(dict.fromkeys(item.content.id for item in items))


def _stored(queue: str, content: Content, now: float) -> StoredMessage:
    died = content.number(DIED)
    return StoredMessage(
        content.id,
        queue,
        content.body,
        State.DEAD,
        content.number(ATTEMPTS),
        max(0.0, now - died / 1_000_000) if died else 0.0,
        str(content.headers.get(NOTE, "")),
    )
