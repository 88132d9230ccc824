"""The `Inspector` capability: counts messages, and browses and changes dead ones.

SQS shows a message only to its receiver. So a peek into a dead-letter queue hides its messages
from others for a moment, and two concurrent peeks see a part each.
"""

import asyncio
from collections.abc import Mapping, Sequence
from uuid import uuid4

from asynctasq.drivers import QueueStats, State, StoredMessage
from asynctasq.errors import BrokerRejected
from asynctasq_sqs.errors import NoSuchQueue
from asynctasq_sqs.messages import Content
from asynctasq_sqs.peek import LONGEST_PEEK, Peek, PeekedMessage
from asynctasq_sqs.session import Session

_WAITING = "ApproximateNumberOfMessages"
_HELD = "ApproximateNumberOfMessagesNotVisible"
_DELAYED = "ApproximateNumberOfMessagesDelayed"


class SQSInspector:
    """The methods of `Inspector`; SQS only counts waiting and running messages."""

    @property
    def session(self) -> Session:
        """The session of the connected driver."""
        raise NotImplementedError

    async def queues(self) -> Sequence[QueueStats]:
        """Count messages of every queue that holds any; see `Inspector.queues`.

        All queues of the account and region, or of `sqs_queue_url_prefix`; one request each.
        """
        queues = self.session.queues
        urls = await queues.listed()
        found = await asyncio.gather(*map(self._attributes, urls.values()))
        by_name = dict(zip(urls, found, strict=True))
        dead = {name: queues.dead_name_of(name, own) for name, own in by_name.items()}
        names = by_name.keys() - set(dead.values())
        stats = await asyncio.gather(
            *(
                self._stats(queues.queue_of(name), by_name[name], by_name.get(dead[name]))
                for name in names
            )
        )
        holding = [entry for entry in stats if entry.unfinished or entry.dead]
        return sorted(holding, key=lambda entry: entry.queue)

    async def counts(self, queues: Sequence[str]) -> Sequence[QueueStats]:
        """Count messages of the given queues, by three requests each; see `Inspector.counts`."""
        return await asyncio.gather(*map(self._counts, queues))

    async def browse(
        self, queue: str, state: State, *, limit: int, offset: int = 0
    ) -> Sequence[StoredMessage]:
        """Return dead messages, of the 10,000 that a peek receives; see `Inspector.browse`."""
        _check_shows(state)
        url = await self.session.queues.find_dead(queue)
        if url is None or limit < 1:
            return []
        async with Peek(self.session, url) as peek:
            return [_stored(queue, message) for message in peek.messages[offset : offset + limit]]

    async def find(self, queue: str, ids: Sequence[str]) -> Sequence[StoredMessage]:
        """Return dead messages by id; see `Inspector.find`."""
        url = await self.session.queues.find_dead(queue) if ids else None
        if url is None:
            return []
        async with Peek(self.session, url) as peek:
            by_id = {
                message.received.content.id: _stored(queue, message) for message in peek.messages
            }
        return [by_id[message_id] for message_id in ids if message_id in by_id]

    async def requeue(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Send dead messages to their queue, then delete them; see `Inspector.requeue`."""
        url = await self.session.queues.find_dead(queue) if ids else None
        if url is None:
            return []
        async with Peek(self.session, url) as peek:
            chosen = _chosen(peek, ids)
            contents = [(message.receipt, _new(message)) for message in chosen]
            errors = await self.session.background.run(self.session.settler.move(queue, contents))
            peek.deleted(message for message in chosen if message.receipt not in errors)
            for error in errors.values():
                raise error
        return _ids(chosen)

    async def delete(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Delete dead messages; see `Inspector.delete`."""
        url = await self.session.queues.find_dead(queue) if ids else None
        if url is None:
            return []
        async with Peek(self.session, url) as peek:
            chosen = _chosen(peek, ids)
            await peek.delete(chosen)
        return _ids(chosen)

    async def purge(self, queue: str, state: State) -> int:
        """Delete all ready or all dead messages; see `Inspector.purge`.

        They are received first: ``PurgeQueue`` would also delete running and delayed ones.
        """
        if state in (State.RUNNING, State.DELAYED):
            raise BrokerRejected(
                f"SQS cannot purge {state.value} messages, only ready and dead ones"
            )
        queues = self.session.queues
        url = await (queues.find_dead(queue) if state is State.DEAD else queues.find(queue))
        total, seen = 0, LONGEST_PEEK
        while url is not None and seen >= LONGEST_PEEK:
            async with Peek(self.session, url) as peek:
                seen = len(peek.messages)
                due = [message for message in peek.messages if message.received.early <= 0]
                await peek.delete(due)
            total += len(due)
        return total

    async def _attributes(self, url: str) -> Mapping[str, str]:
        try:
            return await self.session.queues.attributes(
                url, _WAITING, _HELD, _DELAYED, "RedrivePolicy"
            )
        except NoSuchQueue:  # deleted since it was listed
            return {}

    async def _counts(self, queue: str) -> QueueStats:
        url = await self.session.queues.find(queue)
        return await self._stats(queue, await self._attributes(url) if url else {}, None)

    async def _stats(
        self, queue: str, own: Mapping[str, str], dead: Mapping[str, str] | None
    ) -> QueueStats:
        if dead is None and (url := await self.session.queues.find_dead(queue)):
            dead = await self._attributes(url)
        return QueueStats(
            queue=queue,
            ready=int(own.get(_WAITING, 0)),
            delayed=int(own.get(_DELAYED, 0)),
            running=int(own.get(_HELD, 0)),
            dead=sum(int((dead or {}).get(count, 0)) for count in (_WAITING, _HELD)),
            oldest=None,
        )


def _check_shows(state: State) -> None:
    if state is not State.DEAD:
        raise BrokerRejected(f"SQS cannot show {state.value} messages, only dead ones")


def _chosen(peek: Peek, ids: Sequence[str]) -> list[PeekedMessage]:
    wanted = set(ids)
    return [message for message in peek.messages if message.received.content.id in wanted]


def _ids(chosen: Sequence[PeekedMessage]) -> list[str]:
    return list(dict.fromkeys(message.received.content.id for message in chosen))


def _new(message: PeekedMessage) -> Content:
    content = message.received.content
    return Content(content.id, content.body, unique=uuid4().hex)


def _stored(queue: str, message: PeekedMessage) -> StoredMessage:
    content = message.received.content
    return StoredMessage(
        content.id,
        queue,
        content.body,
        State.DEAD,
        content.attempts or message.received.count,
        message.received.age,
        content.note,
    )
