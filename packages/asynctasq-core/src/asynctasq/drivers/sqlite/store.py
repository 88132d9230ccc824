"""The statements behind the seam's calls: a few per batch, whatever its size.

Rows travel as JSON where they can: each step of a statement may hand the interpreter to a busy
event loop, while other processes wait for the end of our transaction.
"""

import json
import secrets
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

from asynctasq.drivers.base_driver import Delivery, Message, Outcome, Settlement
from asynctasq.drivers.sqlite.database import Database, machine_now, micros
from asynctasq.errors import BrokerRejected

#: Bodies of a batch are bound as values of about this many bytes.
CHUNK = 16 * 1024 * 1024

ENQUEUE = """
    INSERT INTO {schema}.messages (queue, id, body, visible_at)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'),
           coalesce(substr(:bodies, json_extract(value, '$[2]'), json_extract(value, '$[3]')), x''),
           json_extract(value, '$[4]')
    FROM json_each(:rows) WHERE true
    ON CONFLICT (queue, id) DO NOTHING
"""

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

HELD = """
    SELECT json_group_array(asked.key)
    FROM json_each(?) AS asked CROSS JOIN messages
    ON seq = json_extract(asked.value, '$[0]') AND receipt = json_extract(asked.value, '$[1]')
"""

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

EXTEND = "UPDATE messages SET visible_at = ? WHERE seq IN (SELECT value FROM json_each(?))"


class Receipt(NamedTuple):
    """A row, and the random number of the claim that holds it."""

    seq: int
    token: int


class Claim(NamedTuple):
    """What a dequeue took, and the seconds until there will be something to take."""

    deliveries: list[Delivery]
    seconds_to_next: float


def enqueue(db: Database, messages: Sequence[Message]) -> None:
    """Store messages whose ids are not stored yet."""
    refuse_names(messages)
    db.begin()
    for statement, parameters in insertions(messages, "main"):
        db.execute(statement, parameters)
    db.news = True


def insertions(
    messages: Sequence[Message], schema: str
) -> Iterator[tuple[str, dict[str, str | bytes]]]:
    """Statements, with their parameters, that store messages in the database named `schema`."""
    statement, now = ENQUEUE.format(schema=schema), machine_now()
    for chunk in _chunks(messages):
        bodies = b"".join(message.body for message in chunk)
        yield statement, {"rows": _rows(chunk, now), "bodies": bodies}


def claim(db: Database, queues: Sequence[str], limit: int, lease: float) -> Claim:
    """Lease up to `limit` messages; takes no lock when there are none."""
    seconds = _seconds_to_next(db, queues)
    if seconds > 0:
        return Claim([], seconds)
    db.begin()
    taken: list[Delivery] = []
    for queue in queues:
        if len(taken) < limit:
            taken += _take(db, queue, limit - len(taken), lease)
    return Claim(taken, 0.0)


def settle(db: Database, settlements: Sequence[Settlement]) -> list[Delivery]:
    """Apply outcomes; return the deliveries that lost their lease."""
    db.begin()
    held = _held(db, [item.delivery for item in settlements])
    now = db.now()
    done: list[int] = []
    changes: list[tuple[object, ...]] = []
    lost: list[Delivery] = []
    for item in settlements:
        receipt = cast(Receipt, item.delivery.receipt)
        if receipt not in held:
            lost.append(item.delivery)
            continue
        held.remove(receipt)  # a second outcome in the same batch comes too late
        if item.outcome is Outcome.DONE:
            done.append(receipt.seq)
        else:
            changes.append(_change(receipt.seq, item, now))
    if done:
        db.execute(REMOVE, [json.dumps(done)])
    if changes:
        db.execute(CHANGE, [json.dumps(changes)])
        db.news = True
    return lost


def extend(db: Database, deliveries: Sequence[Delivery], lease: float) -> list[Delivery]:
    """Move the ends of leases; return the deliveries that lost theirs."""
    db.begin()
    held = _held(db, deliveries)
    rows = [receipt.seq for receipt in held]
    db.execute(EXTEND, [db.now() + micros(lease), json.dumps(rows)])
    return [delivery for delivery in deliveries if delivery.receipt not in held]


def refuse_names(messages: Sequence[Message]) -> None:
    """Raise `BrokerRejected` for a name that SQLite would cut off."""
    for message in messages:
        if "\0" in message.id or "\0" in message.queue:  # where SQLite's JSON ends a string
            raise BrokerRejected(
                f"{message.id!r} on {message.queue!r}: a name has no NUL character"
            )


def _chunks(messages: Sequence[Message]) -> Iterator[list[Message]]:
    chunk: list[Message] = []
    size = 0
    for message in messages:
        chunk.append(message)
        size += len(message.body)
        if size >= CHUNK:
            yield chunk
            chunk, size = [], 0
    yield chunk


def _rows(messages: Sequence[Message], now: int) -> str:
    rows: list[tuple[object, ...]] = []
    start = 1  # SQL counts bytes from 1
    for message in messages:
        length = len(message.body)
        rows.append((message.queue, message.id, start, length, now + micros(message.delay)))
        start += length
    return json.dumps(rows)


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


def _held(db: Database, deliveries: Sequence[Delivery]) -> set[Receipt]:
    receipts = [cast(Receipt, delivery.receipt) for delivery in deliveries]
    positions = json.loads(db.value(HELD, [json.dumps(receipts)]))
    return {receipts[position] for position in positions}


def _change(seq: int, item: Settlement, now: int) -> tuple[object, ...]:
    """The row of CHANGE for an outcome that keeps the message."""
    dead = item.outcome is Outcome.DEAD
    uncounted = int(item.outcome is Outcome.RELEASE)
    note = _printable(item.note) if dead else ""
    return seq, now + micros(item.delay), uncounted, now if dead else None, note


def _printable(note: str) -> str:
    """`note` without what SQLite's JSON cannot carry."""
    return note.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
