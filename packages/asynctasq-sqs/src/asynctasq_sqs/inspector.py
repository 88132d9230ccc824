"""Counting, and looking into dead-letter queues: the `Inspector` ability.

SQS shows a message only to those who receive it. So a look at dead messages hides them from
others for a moment, and two looks at once see a part each.
"""

import asyncio
from collections.abc import Mapping, Sequence
from uuid import uuid4

from asynctasq.drivers import QueueStats, State, StoredMessage
from asynctasq.errors import BrokerRejected
from asynctasq_sqs.errors import NoSuchQueue
from asynctasq_sqs.messages import Letter
from asynctasq_sqs.peek import MOST, Look, Seen
from asynctasq_sqs.session import Session

_WAITING = "ApproximateNumberOfMessages"
_HELD = "ApproximateNumberOfMessagesNotVisible"
_DELAYED = "ApproximateNumberOfMessagesDelayed"


class SQSInspector:
    """The methods of `Inspector`; of waiting and running messages, SQS tells the number."""

    @property
    def session(self) -> Session:
        """What there is while the driver is connected."""
        raise NotImplementedError

    async def queues(self) -> Sequence[QueueStats]:
        """Every queue that holds a message; see `Inspector.queues`.

        All queues of the account and region, or those of `sqs_queue_url_prefix`; one request each.
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
        holding = [one for one in stats if one.unfinished or one.dead]
        return sorted(holding, key=lambda one: one.queue)

    async def counts(self, queues: Sequence[str]) -> Sequence[QueueStats]:
        """These queues; see `Inspector.counts`. Three requests each."""
        return await asyncio.gather(*map(self._counts, queues))

    async def browse(
        self, queue: str, state: State, *, limit: int, offset: int = 0
    ) -> Sequence[StoredMessage]:
        """Dead messages, of the 10,000 a look shows; see `Inspector.browse`."""
        _check_shows(state)
        url = await self.session.queues.find_dead(queue)
        if url is None or limit < 1:
            return []
        async with Look(self.session, url) as look:
            return [_stored(queue, one) for one in look.seen[offset : offset + limit]]

    async def find(self, queue: str, ids: Sequence[str]) -> Sequence[StoredMessage]:
        """Dead messages by id; see `Inspector.find`."""
        url = await self.session.queues.find_dead(queue) if ids else None
        if url is None:
            return []
        async with Look(self.session, url) as look:
            by_id = {one.received.letter.id: _stored(queue, one) for one in look.seen}
        return [by_id[one] for one in ids if one in by_id]

    async def requeue(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Send dead messages to their queue, then delete them; see `Inspector.requeue`."""
        url = await self.session.queues.find_dead(queue) if ids else None
        if url is None:
            return []
        async with Look(self.session, url) as look:
            chosen = _chosen(look, ids)
            letters = [(one.receipt, _new(one)) for one in chosen]
            errors = await self.session.background.run(self.session.settling.move(queue, letters))
            look.deleted(one for one in chosen if one.receipt not in errors)
            for error in errors.values():
                raise error
        return _ids(chosen)

    async def delete(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove dead messages for good; see `Inspector.delete`."""
        url = await self.session.queues.find_dead(queue) if ids else None
        if url is None:
            return []
        async with Look(self.session, url) as look:
            chosen = _chosen(look, ids)
            await look.delete(chosen)
        return _ids(chosen)

    async def purge(self, queue: str, state: State) -> int:
        """Remove all ready or all dead messages; see `Inspector.purge`.

        They are received and deleted: ``PurgeQueue`` would remove what runs and what is delayed.
        """
        if state in (State.RUNNING, State.DELAYED):
            raise BrokerRejected(f"SQS cannot purge messages that are {state.value}")
        queues = self.session.queues
        url = await (queues.find_dead(queue) if state is State.DEAD else queues.find(queue))
        total, seen = 0, MOST
        while url is not None and seen >= MOST:
            async with Look(self.session, url) as look:
                seen = len(look.seen)
                due = [one for one in look.seen if one.received.early <= 0]
                await look.delete(due)
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
        raise BrokerRejected(f"SQS shows no messages that are {state.value}, only dead ones")


def _chosen(look: Look, ids: Sequence[str]) -> list[Seen]:
    wanted = set(ids)
    return [one for one in look.seen if one.received.letter.id in wanted]


def _ids(chosen: Sequence[Seen]) -> list[str]:
    return list(dict.fromkeys(one.received.letter.id for one in chosen))


def _new(one: Seen) -> Letter:
    letter = one.received.letter
    return Letter(letter.id, letter.body, unique=uuid4().hex)


def _stored(queue: str, one: Seen) -> StoredMessage:
    letter = one.received.letter
    return StoredMessage(
        letter.id,
        queue,
        letter.body,
        State.DEAD,
        letter.attempts or one.received.count,
        one.received.lay,
        letter.note,
    )
