"""Stores messages: one statement per batch, or one per 16 MiB of bodies.

Rows are passed as JSON: while a statement steps through rows, SQLite may hand the interpreter to
a busy event loop, and other processes wait for the end of this transaction.
"""

import json
from collections.abc import Iterator, Sequence

from asynctasq.drivers.base_driver import Message
from asynctasq.drivers.sqlite.database import Database, machine_now, micros
from asynctasq.errors import BrokerRejected

#: Bytes of bodies after which a statement takes no further message.
CHUNK = 16 * 1024 * 1024

ENQUEUE = """
    INSERT INTO {schema}.messages (queue, id, body, visible_at)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'),
           coalesce(substr(:bodies, json_extract(value, '$[2]'), json_extract(value, '$[3]')), x''),
           json_extract(value, '$[4]')
    FROM json_each(:rows) WHERE true
    ON CONFLICT (queue, id) DO NOTHING
"""


def enqueue(db: Database, messages: Sequence[Message]) -> None:
    """Store messages whose ids are not stored yet."""
    refuse_names(messages)
    db.begin()
    for statement, parameters in insertions(messages, "main"):
        db.execute(statement, parameters)
    db.wakes = True


def insertions(
    messages: Sequence[Message], schema: str
) -> Iterator[tuple[str, dict[str, str | bytes]]]:
    """Yield statements and parameters that store messages in the database named `schema`."""
    statement, now = ENQUEUE.format(schema=schema), machine_now()
    for chunk in _chunks(messages):
        bodies = b"".join(message.body for message in chunk)
        yield statement, {"rows": _rows(chunk, now), "bodies": bodies}


def refuse_names(messages: Sequence[Message]) -> None:
    """Raise `BrokerRejected` for a name that SQLite would truncate."""
    for message in messages:
        if "\0" in message.id or "\0" in message.queue:  # where SQLite's JSON ends a string
            raise BrokerRejected(
                f"{message.id!r} on {message.queue!r}: a name cannot contain a NUL character"
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
