"""Applies outcomes: three statements for a batch, whatever its size."""

import json
from collections.abc import Sequence
from typing import cast

from asynctasq.drivers.base_driver import Delivery, Outcome, Settlement
from asynctasq.drivers.sqlite.database import Database, micros
from asynctasq.drivers.sqlite.leases import Receipt, held

REMOVE = "DELETE FROM messages WHERE seq IN (SELECT value FROM json_each(?))"

CHANGE = """
    UPDATE messages SET visible_at = change.visible_at, attempt = attempt - change.uncounted,
                        died_at = change.died_at, note = change.note, receipt = NULL,
                        abandoned = abandoned AND change.uncounted
    FROM (SELECT json_extract(value, '$[0]') AS seq, json_extract(value, '$[1]') AS visible_at,
                 json_extract(value, '$[2]') AS uncounted, json_extract(value, '$[3]') AS died_at,
                 json_extract(value, '$[4]') AS note
          FROM json_each(?)) AS change
    WHERE messages.seq = change.seq
"""


def settle(db: Database, settlements: Sequence[Settlement]) -> list[Delivery]:
    """Apply outcomes; return the deliveries that lost their lease."""
    db.begin()
    receipts = held(db, [item.delivery for item in settlements])
    now = db.now()
    done: list[int] = []
    changes: list[tuple[object, ...]] = []
    lost: list[Delivery] = []
    for item in settlements:
        receipt = cast(Receipt, item.delivery.receipt)
        if receipt not in receipts:
            lost.append(item.delivery)
            continue
        receipts.remove(receipt)  # a second outcome of the delivery in this batch has lost it
        if item.outcome is Outcome.DONE:
            done.append(receipt.seq)
        else:
            changes.append(_change(receipt.seq, item, now))
    if done:
        db.execute(REMOVE, [json.dumps(done)])
    if changes:
        db.execute(CHANGE, [json.dumps(changes)])
        db.wakes = True
    return lost


def _change(seq: int, item: Settlement, now: int) -> tuple[object, ...]:
    """Return the row of CHANGE for an outcome that keeps the message."""
    dead = item.outcome is Outcome.DEAD
    uncounted = int(item.outcome is Outcome.RELEASE)
    note = _printable(item.note) if dead else ""
    return seq, now + micros(item.delay), uncounted, now if dead else None, note


def _printable(note: str) -> str:
    """Replace the characters of `note` that SQLite's JSON cannot represent."""
    return note.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
