"""The `Inspector` capability: counts and reads stored messages, requeues and deletes them."""

import re
from collections.abc import Iterator, Sequence
from typing import cast

from asynctasq.drivers import QueueStats, State, StoredMessage
from asynctasq.errors import BrokerError, BrokerRejected
from asynctasq_redis.messages import CHUNK, STAMP, chunks
from asynctasq_redis.scripts import Argument, Call, Plain
from asynctasq_redis.session import Session

#: Most queues that are counted in one exchange.
QUEUES_AT_ONCE = CHUNK
#: Most messages one call of the purge script removes.
PURGED_AT_ONCE = 1000

_META = re.compile(rb"(\d+)(?:[@~](\d+))?")

_Rows = Sequence[Sequence[bytes | None]]


class RedisInspector:
    """The methods of `Inspector`."""

    @property
    def session(self) -> Session:
        """The open session."""
        raise NotImplementedError

    async def queues(self) -> Sequence[QueueStats]:
        """Every queue that holds a message; see `Inspector.queues`."""
        (names,) = await self.session.call(Plain(("SMEMBERS", self.session.keys.queues)))
        queues = sorted(name.decode() for name in cast(Sequence[bytes], names))
        stats = await self.counts(queues)
        if empty := [counts.queue for counts in stats if not (counts.unfinished or counts.dead)]:
            await self._unlist(empty)
        return [counts for counts in stats if counts.unfinished or counts.dead]

    async def counts(self, queues: Sequence[str]) -> Sequence[QueueStats]:
        """These queues; see `Inspector.counts`."""
        if not queues:
            return []
        return [counts for part in chunks(queues) for counts in await self._counts(part)]

    async def browse(
        self, queue: str, state: State, *, limit: int, offset: int = 0
    ) -> Sequence[StoredMessage]:
        """Messages of one state; see `Inspector.browse`."""
        if limit < 1:
            return []
        call = self._call("browse", queue, [state.value, offset, limit])
        (ids,) = await self.session.call(call)
        names = [name.decode() for name in cast(Sequence[bytes], ids)]
        return [found for found in await self.find(queue, names) if found.state is state]

    async def find(self, queue: str, ids: Sequence[str]) -> Sequence[StoredMessage]:
        """Messages by id; see `Inspector.find`."""
        if not ids:
            return []
        parts = list(chunks(ids))
        replies = await self.session.call(*(self._call("find", queue, part) for part in parts))
        return [
            found
            for part, reply in zip(parts, replies, strict=True)
            for found in _found(queue, part, cast(Sequence[object], reply))
        ]

    async def requeue(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Make dead messages deliverable; see `Inspector.requeue`."""
        return await self._ids("requeue", queue, ids)

    async def delete(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove messages; see `Inspector.delete`."""
        return await self._ids("delete", queue, ids)

    async def purge(self, queue: str, state: State) -> int:
        """Remove all messages of one state; see `Inspector.purge`."""
        if state is State.RUNNING:
            raise BrokerRejected("running messages cannot be purged; wait for them to finish")
        total, more = 0, 1
        while more:
            call = self._call("purge", queue, [state.value, PURGED_AT_ONCE])
            (reply,) = await self.session.call(call)
            removed, more = cast(Sequence[int], reply)
            total += removed
        return total

    async def _counts(self, queues: Sequence[str]) -> list[QueueStats]:
        replies = await self.session.call(*(self._call("stats", queue) for queue in queues))
        return [_stats(queue, reply) for queue, reply in zip(queues, replies, strict=True)]

    async def _unlist(self, queues: Sequence[str]) -> None:
        (paused,) = await self.session.replies([Plain(("SMEMBERS", self.session.keys.paused))])
        if not isinstance(paused, BrokerError):
            kept = {name.decode() for name in cast(Sequence[bytes], paused)}
            await self.session.listing.unlist([queue for queue in queues if queue not in kept])

    async def _ids(self, script: str, queue: str, ids: Sequence[str]) -> list[str]:
        calls = [self._call(script, queue, part) for part in chunks(ids)]
        replies = await self.session.call(*calls) if calls else []
        return [name.decode() for reply in replies for name in cast(Sequence[bytes], reply)]

    def _call(self, script: str, queue: str, arguments: Sequence[Argument] = ()) -> Call:
        return Call(script, self.session.keys.of(script, queue), arguments)


def _stats(queue: str, reply: object) -> QueueStats:
    ready, delayed, running, dead, age = cast(Sequence[int], reply)
    return QueueStats(queue, ready, delayed, running, dead, age / 1_000_000 if age >= 0 else None)


def _found(queue: str, ids: Sequence[str], reply: Sequence[object]) -> Iterator[StoredMessage]:
    now = int(cast(bytes, reply[0]))
    for message_id, *row in zip(ids, *cast(_Rows, reply[1:]), strict=True):
        body, meta, delayed, held, dead, note = row
        if body is None:
            continue
        attempt, given_back = _meta(meta)
        state, moment = _state(now, delayed, held, dead, given_back or int(body[:STAMP]))
        yield StoredMessage(
            message_id,
            queue,
            body[STAMP:],
            state,
            attempt,
            abs(moment - now) / 1_000_000,
            note.decode() if note else "",
        )


def _state(
    now: int, delayed: bytes | None, held: bytes | None, dead: bytes | None, since: int
) -> tuple[State, int]:
    """Return the state of a message, and the time from or to which its seconds count."""
    if dead is not None:
        return State.DEAD, int(dead)
    for state, score in ((State.RUNNING, held), (State.DELAYED, delayed)):
        if score is not None:
            return (state if int(score) > now else State.READY), int(score)
    return State.READY, since


def _meta(meta: bytes | None) -> tuple[int, int | None]:
    """Return the attempt, and the time at which the message was given back, or None."""
    match = _META.match(meta or b"0")
    attempt, since = match.groups() if match else (0, None)
    return int(attempt), int(since) if since else None
