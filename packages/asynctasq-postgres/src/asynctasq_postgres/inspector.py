"""The `Inspector` capability: counts and reads stored messages, requeues and deletes them."""

from collections.abc import Sequence

from asynctasq.drivers import QueueStats, State, StoredMessage
from asynctasq.errors import BrokerRejected
from asynctasq_postgres.pool import Row
from asynctasq_postgres.session import Session

#: Most messages that one statement of a purge removes: transactions stay short.
PURGED_AT_ONCE = 5000

_NOW = "(SELECT clock_timestamp())"  # evaluated once, so an index can serve the condition
_WHERE = {
    State.READY: f"visible_at <= {_NOW}",
    State.DELAYED: f"visible_at > {_NOW} AND token IS NULL",
    State.RUNNING: f"visible_at > {_NOW} AND token IS NOT NULL",
    State.DEAD: "true",
}

_COUNT = f"""
    SELECT coalesce(live.queue, dead.queue), coalesce(ready, 0), coalesce(delayed, 0),
           coalesce(running, 0), coalesce(died, 0),
           extract(epoch FROM clock_timestamp() - oldest)::double precision
    FROM (
        SELECT queue, count(*) FILTER (WHERE {_WHERE[State.READY]}) AS ready,
               count(*) FILTER (WHERE {_WHERE[State.DELAYED]}) AS delayed,
               count(*) FILTER (WHERE {_WHERE[State.RUNNING]}) AS running,
               min(visible_at) FILTER (WHERE {_WHERE[State.READY]}) AS oldest
        FROM {{table}} %s GROUP BY queue
    ) AS live
    FULL JOIN (SELECT queue, count(*) AS died FROM {{dead}} %s GROUP BY queue) AS dead
    ON live.queue = dead.queue ORDER BY 1
"""
QUEUES = _COUNT % ("", "")
COUNTS = _COUNT % ("WHERE queue = ANY($1)", "WHERE queue = ANY($1)")

_LIVE = f"""
    SELECT id, queue, body, attempt, ''::text AS note,
           CASE WHEN {_WHERE[State.READY]} THEN 'ready'
                WHEN token IS NULL THEN 'delayed' ELSE 'running' END AS state,
           abs(extract(epoch FROM visible_at - clock_timestamp()))::double precision AS seconds
    FROM {{table}} AS live
"""
_DEAD = """
    SELECT id, queue, body, attempt, note, 'dead'::text AS state,
           abs(extract(epoch FROM clock_timestamp() - died_at))::double precision AS seconds
    FROM {dead} AS dead
"""
_PAGE = " LIMIT $2 OFFSET $3"
BROWSE = {
    state: f"{_LIVE} WHERE queue = $1 AND {where} ORDER BY queue, visible_at, seq {_PAGE}"
    for state, where in _WHERE.items()
} | {State.DEAD: f"{_DEAD} WHERE queue = $1 ORDER BY queue DESC, died_at DESC, id DESC {_PAGE}"}

_ASKED = "queue = $1 AND id = ANY($2)"
FIND = f"""
    SELECT * FROM ({_LIVE} WHERE {_ASKED} UNION ALL {_DEAD} WHERE {_ASKED}) AS found
    ORDER BY array_position($2, id::text), state
"""

# A dead message whose id was enqueued again stays dead, and the new message is unchanged.
REQUEUE = f"""
    WITH back AS (
        DELETE FROM {{dead}} AS dead WHERE {_ASKED} AND NOT EXISTS (
            SELECT FROM {{table}} AS live WHERE live.queue = dead.queue AND live.id = dead.id
        )
        RETURNING queue, id, body, died_at
    ), stored AS (
        INSERT INTO {{table}} (queue, id, visible_at, body)
        SELECT queue, id, clock_timestamp(), body FROM back ORDER BY died_at, id
        ON CONFLICT DO NOTHING
    ), notified AS MATERIALIZED (
        SELECT {{tell}}(array_agg(DISTINCT queue), ARRAY[0.0]) FROM back
        WHERE $3 HAVING count(*) > 0
    )
    SELECT id, (SELECT count(*) FROM notified) FROM back
"""
DELETE = f"""
    WITH waiting AS (
        DELETE FROM {{table}} WHERE {_ASKED} AND NOT ({_WHERE[State.RUNNING]}) RETURNING id
    ), died AS (
        DELETE FROM {{dead}} WHERE {_ASKED} RETURNING id
    )
    SELECT id FROM waiting UNION SELECT id FROM died
"""
_PURGE = """
    WITH gone AS (
        DELETE FROM %(table)s WHERE (queue, id) IN (
            SELECT queue, id FROM %(table)s WHERE queue = $1 AND %(where)s
            LIMIT $2 FOR UPDATE SKIP LOCKED
        )
        RETURNING 1
    )
    SELECT count(*) FROM gone
"""
PURGE = {
    state: _PURGE % {"table": "{dead}" if state is State.DEAD else "{table}", "where": where}
    for state, where in _WHERE.items()
}


class PostgresInspector:
    """The methods of `Inspector`."""

    @property
    def session(self) -> Session:
        """The session of the connected driver."""
        raise NotImplementedError

    async def queues(self) -> Sequence[QueueStats]:
        """Return every queue that holds a message; see `Inspector.queues`."""
        return [QueueStats(*row) for row in await self.session.call(QUEUES)]

    async def counts(self, queues: Sequence[str]) -> Sequence[QueueStats]:
        """Count `queues`; see `Inspector.counts`."""
        if not queues:
            return []
        rows = await self.session.call(COUNTS, list(queues))
        found = {row[0]: QueueStats(*row) for row in rows}
        return [found.get(queue, QueueStats.empty(queue)) for queue in queues]

    async def browse(
        self, queue: str, state: State, *, limit: int, offset: int = 0
    ) -> Sequence[StoredMessage]:
        """Return messages of one state; see `Inspector.browse`."""
        if limit < 1:
            return []
        rows = await self.session.call(BROWSE[state], queue, limit, offset)
        return [_stored(row) for row in rows]

    async def find(self, queue: str, ids: Sequence[str]) -> Sequence[StoredMessage]:
        """Return messages by id; see `Inspector.find`."""
        if not ids:
            return []
        return [_stored(row) for row in await self.session.call(FIND, queue, list(ids))]

    async def requeue(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Make dead messages deliverable; see `Inspector.requeue`."""
        if not ids:
            return []
        rows = await self.session.store([(queue, 0.0)], REQUEUE, queue, list(ids))
        return _in_order(ids, rows)

    async def delete(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove messages; see `Inspector.delete`."""
        if not ids:
            return []
        return _in_order(ids, await self.session.call(DELETE, queue, list(ids)))

    async def purge(self, queue: str, state: State) -> int:
        """Remove all messages of one state; see `Inspector.purge`."""
        if state is State.RUNNING:
            raise BrokerRejected("running messages cannot be purged; wait for them to finish")
        total, removed = 0, PURGED_AT_ONCE
        while removed == PURGED_AT_ONCE:
            ((removed,),) = await self.session.call(PURGE[state], queue, PURGED_AT_ONCE)
            total += removed
        return total


def _in_order(ids: Sequence[str], rows: Sequence[Row]) -> list[str]:
    changed = {row[0] for row in rows}
    return [message_id for message_id in dict.fromkeys(ids) if message_id in changed]


def _stored(row: Row) -> StoredMessage:
    message_id, queue, body, attempt, note, state, seconds = row
    return StoredMessage(message_id, queue, body, State(state), attempt, seconds, note)
