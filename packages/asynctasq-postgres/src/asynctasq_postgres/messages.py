"""Messages, settlements and deliveries as arguments and rows of the functions."""

import math
from collections.abc import Iterable, Iterator, Sequence

from asynctasq.drivers import Delivery, Message, Settlement
from asynctasq.drivers import enqueue_checks as enqueueing
from asynctasq.errors import BrokerRejected
from asynctasq_postgres.notes import writable
from asynctasq_postgres.pool import Row

ENQUEUE = "SELECT {enqueue}($1, $2, $3, $4, $5)"
CLAIM = "SELECT * FROM {claim}($1, $2, $3, $4)"
DONE = "SELECT * FROM {done}($1, $2, $3)"
SETTLE = "SELECT * FROM {settle}($1, $2, $3, $4, $5, $6, $7)"
EXTEND = "SELECT * FROM {extend}($1, $2, $3, $4)"
ENCODING = "SELECT current_setting('server_encoding')"

MAX_BODY = 64 * 1024 * 1024
MAX_DELAY = 100 * 365 * 86400.0
#: Messages and bytes of bodies after which a statement takes no further message, so that a slow
#: server, or a slow line, is through with it long before the limit of a statement.
CHUNK_ROWS = 5000
CHUNK_BYTES = 16 * 1024 * 1024
#: Bytes of a queue's name or an id, so that both fit into an entry of an index.
MAX_NAME = 1000


def check_message(message: Message) -> None:
    """Raise `BrokerRejected` for what cannot be stored."""
    _check_name(message.queue)
    _check_name(message.id)
    enqueueing.check_message(message, longest_body=MAX_BODY, longest_delay=MAX_DELAY)


def check_seconds(seconds: float) -> float:
    """`seconds`, if they are a length of time; raises `BrokerRejected`."""
    if not (math.isfinite(seconds) and 0 <= seconds <= MAX_DELAY):
        raise BrokerRejected(f"{seconds} is no length of time")
    return seconds


def chunks(messages: Iterable[Message]) -> Iterator[Sequence[Message]]:
    """`messages` in portions for one statement each: usually there is one."""
    chunk: list[Message] = []
    size = 0
    for message in messages:
        full = len(chunk) == CHUNK_ROWS or size + len(message.body) > CHUNK_BYTES
        if chunk and full:
            yield chunk
            chunk, size = [], 0
        chunk.append(message)
        size += len(message.body)
    if chunk:
        yield chunk


def columns(messages: Sequence[Message]) -> tuple[list[str], list[str], list[bytes], list[float]]:
    """The first arguments of ``enqueue``."""
    return (
        [one.queue for one in messages],
        [one.id for one in messages],
        [one.body for one in messages],
        [float(one.delay) for one in messages],
    )


def by_lock_order(deliveries: Iterable[Delivery]) -> list[Delivery]:
    """Deliveries in the order in which every statement locks rows, each once."""
    unique = {(one.queue, one.id, one.receipt): one for one in deliveries}
    return sorted(unique.values(), key=lambda one: (one.queue, one.id))


def held(deliveries: Sequence[Delivery]) -> tuple[list[str], list[str], list[object]]:
    """The first arguments of ``done``, ``settle`` and ``extend``."""
    return (
        [one.queue for one in deliveries],
        [one.id for one in deliveries],
        [one.receipt for one in deliveries],
    )


def outcomes(
    items: Sequence[Settlement], codec: str = "utf-8"
) -> tuple[list[str], list[float], list[str]]:
    """The further arguments of ``settle``, with notes in characters that `codec` has."""
    return (
        [one.outcome.value for one in items],
        [check_seconds(one.delay) for one in items],
        [writable(one.note, codec) for one in items],
    )


def delivered(rows: Sequence[Row], token: int) -> list[Delivery]:
    """The deliveries in rows of ``claim``."""
    return [
        Delivery(message_id, queue, body, attempt, token, abandoned)
        for queue, message_id, attempt, abandoned, body, _ in rows
    ]


def _check_name(name: str) -> None:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        size = 0
    if not 0 < size <= MAX_NAME or "\0" in name:
        raise BrokerRejected(
            f"{name[:40]!r}: the name of a queue or a message has 1 to {MAX_NAME} bytes of UTF-8,"
            " and no NUL character"
        )
