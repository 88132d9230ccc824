"""Takes messages: a read that locks nothing, and a claim of the due messages of each queue."""

import json
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from asynctasq.drivers.base_driver import Delivery
from asynctasq.drivers.sqlite.database import Database, micros
from asynctasq.drivers.sqlite.leases import Receipt

NEXT_DUE = """
    SELECT min((SELECT visible_at FROM messages WHERE queue = asked.value AND died_at IS NULL
                ORDER BY visible_at LIMIT 1))
    FROM json_each(?) AS asked WHERE asked.value NOT IN (SELECT queue FROM paused)
"""

DUE = """
    SELECT json_group_array(json_array(visible_at, seq))
    FROM (SELECT visible_at, seq FROM messages
          WHERE queue = :queue AND died_at IS NULL AND visible_at <= :now
          AND :queue NOT IN (SELECT queue FROM paused)
          ORDER BY visible_at, seq LIMIT :limit)
"""

CLAIM = """
    UPDATE messages SET attempt = attempt + 1, visible_at = ?, receipt = ?,
                        abandoned = abandoned OR receipt IS NOT NULL
    WHERE seq IN (SELECT value FROM json_each(?))
    RETURNING seq, id, body, attempt, abandoned
"""


class Claim(NamedTuple):
    """The messages taken, and the seconds until the next message is due."""

    deliveries: list[Delivery]
    seconds_to_next: float


def claim(db: Database, queues: Sequence[str], limit: int, lease: float) -> Claim:
    """Lease up to `limit` messages; takes no lock when none is due."""
    seconds = _seconds_to_next(db, queues)
    if seconds > 0:
        return Claim([], seconds)
    db.begin()
    taken: list[Delivery] = []
    for queue in queues:
        if len(taken) < limit:
            taken += _take(db, queue, limit - len(taken), lease)
    return Claim(taken, 0.0)


def _seconds_to_next(db: Database, queues: Sequence[str]) -> float:
    due = db.value(NEXT_DUE, [json.dumps(queues)])
    return float("inf") if due is None else (due - db.now()) / 1e6


def _take(db: Database, queue: str, limit: int, lease: float) -> list[Delivery]:
    now = db.now()
    due: list[list[int]] = json.loads(db.value(DUE, {"queue": queue, "now": now, "limit": limit}))
    due.sort()
    order = [seq for _, seq in due]
    token = secrets.randbits(63)
    rows = db.execute(CLAIM, [now + micros(lease), token, json.dumps(order)])
    taken = {
        seq: Delivery(message_id, queue, body, attempt, Receipt(seq, token), bool(abandoned))
        for seq, message_id, body, attempt, abandoned in rows
    }
    return [taken[seq] for seq in order]
