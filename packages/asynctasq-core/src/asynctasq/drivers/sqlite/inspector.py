"""The SQL of `Inspector`."""

import json
from collections.abc import Sequence
from typing import Any

from asynctasq.drivers.sqlite.database import Database
from asynctasq.drivers.stored import QueueStats, State, StoredMessage
from asynctasq.errors import BrokerRejected

#: Messages that a purge removes in one transaction, so that other calls run in between.
PURGE_STEP = 10_000

_WHERE = {
    State.READY: "died_at IS NULL AND visible_at <= :now",
    State.DELAYED: "died_at IS NULL AND visible_at > :now AND receipt IS NULL",
    State.RUNNING: "died_at IS NULL AND visible_at > :now AND receipt IS NOT NULL",
    State.DEAD: "died_at IS NOT NULL",
}
_FIELDS = "messages.id, queue, body, visible_at, attempt, receipt, died_at, note"

COUNT = """
    SELECT queue,
           count(*) FILTER (WHERE visible_at <= :now),
           count(*) FILTER (WHERE visible_at > :now AND receipt IS NULL),
           count(*) FILTER (WHERE visible_at > :now AND receipt IS NOT NULL),
           min(visible_at)
    FROM messages WHERE died_at IS NULL GROUP BY queue
"""
COUNT_DEAD = "SELECT queue, count(*) FROM messages WHERE died_at IS NOT NULL GROUP BY queue"

FIND = f"""
    SELECT {_FIELDS} FROM json_each(:ids) AS asked CROSS JOIN messages
    ON queue = :queue AND messages.id = asked.value ORDER BY asked.key
"""

REQUEUE = """
    UPDATE messages SET died_at = NULL, note = '', attempt = 0, visible_at = :now
    WHERE queue = :queue AND id IN (SELECT value FROM json_each(:ids)) AND died_at IS NOT NULL
    RETURNING id
"""

DELETE = f"""
    DELETE FROM messages WHERE queue = :queue AND id IN (SELECT value FROM json_each(:ids))
    AND NOT ({_WHERE[State.RUNNING]})
    RETURNING id
"""


def stats(db: Database) -> list[QueueStats]:
    """Return the counts of every queue, from the indexes alone."""
    now = db.now()
    live = {queue: counts for queue, *counts in db.execute(COUNT, {"now": now})}
    dead = dict(db.execute(COUNT_DEAD).fetchall())
    return [
        _stats(queue, live.get(queue, (0, 0, 0, now)), dead.get(queue, 0), now)
        for queue in sorted({*live, *dead})
    ]


def browse(db: Database, queue: str, state: State, limit: int, offset: int) -> list[StoredMessage]:
    """Return messages of one state: next due first; of dead messages, latest first."""
    order = "died_at DESC, seq" if state is State.DEAD else "visible_at, seq"
    sql = f"SELECT {_FIELDS} FROM messages WHERE queue = :queue AND {_WHERE[state]} "
    asked = {"queue": queue, "now": db.now(), "limit": limit, "offset": offset}
    rows = db.execute(f"{sql} ORDER BY {order} LIMIT :limit OFFSET :offset", asked)
    return [_stored(row, db.now()) for row in rows]


def find(db: Database, queue: str, ids: Sequence[str]) -> list[StoredMessage]:
    """Return the stored messages of `ids`."""
    rows = db.execute(FIND, {"queue": queue, "ids": json.dumps(ids)})
    return [_stored(row, db.now()) for row in rows]


def requeue(db: Database, queue: str, ids: Sequence[str]) -> list[str]:
    """Make dead messages deliverable, with no attempts counted."""
    db.wakes = True
    return _change(db, REQUEUE, queue, ids)


def delete(db: Database, queue: str, ids: Sequence[str]) -> list[str]:
    """Remove messages that are not held."""
    return _change(db, DELETE, queue, ids)


def purge(db: Database, queue: str, state: State) -> int:
    """Remove up to `PURGE_STEP` messages of one state; 0 when none are left."""
    if state is State.RUNNING:
        raise BrokerRejected("running messages cannot be purged; stop their workers instead")
    db.begin()
    step = f"SELECT seq FROM messages WHERE queue = :queue AND {_WHERE[state]} LIMIT {PURGE_STEP}"
    removed = db.execute(
        f"DELETE FROM messages WHERE seq IN ({step})",
        {"queue": queue, "now": db.now()},
    )
    return removed.rowcount


def _change(db: Database, sql: str, queue: str, ids: Sequence[str]) -> list[str]:
    db.begin()
    rows = db.execute(sql, {"queue": queue, "ids": json.dumps(ids), "now": db.now()})
    changed = {message_id for (message_id,) in rows}
    return [message_id for message_id in dict.fromkeys(ids) if message_id in changed]


def _stats(queue: str, live: Sequence[int], dead: int, now: int) -> QueueStats:
    ready, delayed, running, first = live
    oldest = (now - first) / 1e6 if ready else None
    return QueueStats(
        queue, ready=ready, delayed=delayed, running=running, dead=dead, oldest=oldest
    )


def _stored(row: Sequence[Any], now: int) -> StoredMessage:
    message_id, queue, body, visible_at, attempt, receipt, died_at, note = row
    state = State.RUNNING if receipt is not None else State.DELAYED
    if visible_at <= now:
        state = State.READY
    if died_at is not None:
        state = State.DEAD
    seconds = abs(now - (visible_at if died_at is None else died_at)) / 1e6
    return StoredMessage(message_id, queue, body, state, attempt, seconds, note)
