"""The SQL of `Control`."""

import json
from collections.abc import Sequence

from asynctasq.drivers.sqlite.database import Database

REVOKE = """
    DELETE FROM messages WHERE queue = :queue AND id IN (SELECT value FROM json_each(:ids))
    AND died_at IS NULL AND visible_at > :now AND receipt IS NOT NULL
    RETURNING id
"""


def pause(db: Database, queue: str) -> bool:
    """Pause a queue; False if it was paused."""
    db.begin()
    return db.execute("INSERT OR IGNORE INTO paused VALUES (?)", [queue]).rowcount > 0


def resume(db: Database, queue: str) -> bool:
    """Resume a queue; False if it was not paused."""
    db.begin()
    db.wakes = True
    return db.execute("DELETE FROM paused WHERE queue = ?", [queue]).rowcount > 0


def paused(db: Database) -> list[str]:
    """The paused queues."""
    return [queue for (queue,) in db.execute("SELECT queue FROM paused ORDER BY queue")]


def revoke(db: Database, queue: str, ids: Sequence[str]) -> list[str]:
    """Remove held messages."""
    db.begin()
    rows = db.execute(REVOKE, {"queue": queue, "ids": json.dumps(ids), "now": db.now()})
    removed = {message_id for (message_id,) in rows}
    return [message_id for message_id in dict.fromkeys(ids) if message_id in removed]
