"""The `Inspector` capability: counts, browses, requeues and deletes stored messages."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial

from asynctasq.drivers import QueueStats, State, StoredMessage
from asynctasq.errors import BrokerRejected
from asynctasq_mysql.connection import Link, Row
from asynctasq_mysql.literals import (
    BEGIN,
    BY_NAME,
    BY_ROW,
    CHUNK,
    COMMIT,
    NOW,
    chunks,
    name,
    names,
    numbers,
    unnamed,
)
from asynctasq_mysql.names import Tables
from asynctasq_mysql.session import Session

_HELD = f"visible_at > {NOW} AND token IS NOT NULL"
_WHERE = {
    State.READY: f"visible_at <= {NOW}",
    State.DELAYED: f"visible_at > {NOW} AND token IS NULL",
    State.RUNNING: _HELD,
}
_LIVE = (
    f"SELECT id, body, attempt, '', TIMESTAMPDIFF(MICROSECOND, visible_at, {NOW}),"
    f" IF(visible_at <= {NOW}, 'ready', IF(token IS NULL, 'delayed', 'running'))"
)
_DEAD = f"SELECT id, body, attempt, note, TIMESTAMPDIFF(MICROSECOND, died_at, {NOW}), 'dead'"


class MySQLInspector:
    """The methods of `Inspector`."""

    @property
    def session(self) -> Session:
        """The session of the connected driver."""
        raise NotImplementedError

    async def queues(self) -> Sequence[QueueStats]:
        """Count messages of every queue that holds any; see `Inspector.queues`."""
        return await self._stats("TRUE")

    async def counts(self, queues: Sequence[str]) -> Sequence[QueueStats]:
        """Count messages of the given queues; see `Inspector.counts`."""
        if not queues:
            return []
        known = {stats.queue: stats for stats in await self._stats(f"queue IN ({names(queues)})")}
        return [known.get(queue) or QueueStats.empty(queue) for queue in queues]

    async def browse(
        self, queue: str, state: State, *, limit: int, offset: int = 0
    ) -> Sequence[StoredMessage]:
        """Return messages of one state; see `Inspector.browse`."""
        if limit < 1:
            return []
        tables = self.session.tables
        if state is State.DEAD:
            source = f"{_DEAD} FROM {tables.dead_letters} WHERE queue = {name(queue)}"
            order = "died_at DESC, seq DESC"
        else:
            source = f"{_LIVE} FROM {tables.queue} FORCE INDEX (due)"
            source += f" WHERE queue = {name(queue)} AND {_WHERE[state]}"
            order = "visible_at, seq"
        (rows,) = await self.session.query(
            f"{source} ORDER BY {order} LIMIT {limit} OFFSET {offset}"
        )
        return [_stored(queue, row) for row in rows]

    async def find(self, queue: str, ids: Sequence[str]) -> Sequence[StoredMessage]:
        """Return messages by id; see `Inspector.find`."""
        found: dict[str, StoredMessage] = {}
        for chunk in chunks(ids):
            for rows in await self.session.query(";".join(self._finding(queue, chunk))):
                messages = (_stored(queue, row) for row in rows)
                found.update((message.id, message) for message in messages)
        return [found[message_id] for message_id in ids if message_id in found]

    async def requeue(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Make dead messages deliverable; see `Inspector.requeue`."""
        requeued = await self._by_chunk(
            ids, lambda link, chunk: _requeue(link, self.session.tables, queue, chunk)
        )
        self.session.waiters.wake([queue])
        return requeued

    async def delete(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove messages; see `Inspector.delete`."""
        tables, removed = self.session.tables, set[str]()
        # one transaction for each table: a retry after a conflict starts anew
        for table, which in ((tables.queue, f" AND NOT ({_HELD})"), (tables.dead_letters, "")):
            removed |= {*await self._by_chunk(ids, partial(_delete, table, queue, which))}
        return [message_id for message_id in dict.fromkeys(ids) if message_id in removed]

    async def purge(self, queue: str, state: State) -> int:
        """Remove all messages of one state; see `Inspector.purge`."""
        if state is State.RUNNING:
            raise BrokerRejected("running messages cannot be purged; wait for them to finish")
        tables, total = self.session.tables, 0
        table, which = tables.dead_letters, f"FORCE INDEX (died) WHERE queue = {name(queue)}"
        if state is not State.DEAD:
            table = tables.queue
            which = f"FORCE INDEX (due) WHERE queue = {name(queue)} AND {_WHERE[state]}"
        while count := await self.session.run(lambda link: _purge(link, table, which)):
            total += count
        return total

    async def _stats(self, where: str) -> Sequence[QueueStats]:
        tables = self.session.tables
        live, dead = await self.session.query(
            f"SELECT queue, SUM(visible_at <= {NOW}), SUM({_WHERE[State.DELAYED]}), SUM({_HELD}),"
            f" TIMESTAMPDIFF(MICROSECOND, MIN(visible_at), {NOW})"
            f" FROM {tables.queue} FORCE INDEX (due) WHERE {where} GROUP BY queue;"
            f"SELECT queue, COUNT(*) FROM {tables.dead_letters} FORCE INDEX (died)"
            f" WHERE {where} GROUP BY queue"
        )
        return list(_joined(live, dead))

    def _finding(self, queue: str, ids: Sequence[str]) -> Iterator[str]:
        tables = self.session.tables
        for fields, table in ((_LIVE, tables.queue), (_DEAD, tables.dead_letters)):
            yield f"{fields} FROM {table} WHERE queue = {name(queue)} AND id IN ({names(ids)})"

    async def _by_chunk(
        self, ids: Sequence[str], change: Callable[[Link, Sequence[str]], Awaitable[set[str]]]
    ) -> list[str]:
        changed: set[str] = set()
        for chunk in chunks(dict.fromkeys(ids)):
            changed |= await self.session.run(lambda link, chunk=chunk: change(link, chunk))
        return [message_id for message_id in dict.fromkeys(ids) if message_id in changed]


async def _requeue(link: Link, tables: Tables, queue: str, ids: Sequence[str]) -> set[str]:
    rows = await _lock(link, tables.dead_letters, _named(queue, ids))
    source = f"FROM {tables.dead_letters} d {BY_ROW} WHERE seq IN ({numbers(rows)})"
    if rows:
        await link.run(
            f"INSERT INTO {tables.queue} (queue, id, body, visible_at)"
            f" SELECT queue, id, body, {NOW} {source} ORDER BY d.seq"
            f" ON DUPLICATE KEY UPDATE attempt = {tables.queue}.attempt;"
            f"DELETE d {source}"
        )
    await link.run(COMMIT)
    return set(rows.values())


async def remove_held(link: Link, tables: Tables, queue: str, ids: Sequence[str]) -> set[str]:
    """Remove the messages of `ids` that are held, and return their ids."""
    return await _remove(link, tables.queue, f"{_named(queue, ids)} AND {_HELD}")


async def _delete(table: str, queue: str, which: str, link: Link, ids: Sequence[str]) -> set[str]:
    return await _remove(link, table, _named(queue, ids) + which)


async def _purge(link: Link, table: str, which: str) -> int:
    return len(await _remove(link, table, f"{which} LIMIT {CHUNK}"))


def _named(queue: str, ids: Sequence[str]) -> str:
    return f"{BY_NAME} WHERE queue = {name(queue)} AND id IN ({names(ids)})"


async def _remove(link: Link, table: str, which: str) -> set[str]:
    rows = await _lock(link, table, which)
    if rows:
        await link.run(f"DELETE t FROM {table} t {BY_ROW} WHERE seq IN ({numbers(rows)})")
    await link.run(COMMIT)
    return set(rows.values())


async def _lock(link: Link, table: str, which: str) -> dict[int, str]:
    """Begin a transaction, lock rows in it, and return their message ids by `seq`."""
    *_, rows = await link.run(f"{BEGIN}; SELECT seq, id FROM {table} {which} FOR UPDATE")
    return {seq: unnamed(message_id) for seq, message_id in rows}


def _joined(live: Sequence[Row], dead: Sequence[Row]) -> Iterator[QueueStats]:
    alive = {row[0]: row[1:] for row in live}
    died: dict[bytes, int] = dict(dead)
    for queue in sorted({*alive, *died}):
        ready, delayed, running, age = alive.get(queue, (0, 0, 0, 0))
        yield QueueStats(
            unnamed(queue),
            ready=int(ready),
            delayed=int(delayed),
            running=int(running),
            dead=died.get(queue, 0),
            oldest=max(0, age) / 1_000_000 if ready else None,
        )


def _stored(queue: str, row: Row) -> StoredMessage:
    message_id, body, attempt, note, microseconds, state = row
    seconds = abs(microseconds) / 1_000_000
    return StoredMessage(unnamed(message_id), queue, body, State(state), attempt, seconds, note)
