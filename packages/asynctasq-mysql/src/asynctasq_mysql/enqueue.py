"""Enqueues: the statements that store messages."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from asynctasq.drivers import Message
from asynctasq.drivers.enqueue_checks import check_message
from asynctasq.errors import BrokerRejected
from asynctasq_mysql.connection import Link
from asynctasq_mysql.literals import BEGIN, BY_NAME, CHUNK, COMMIT, binary, from_now, name, names
from asynctasq_mysql.names import Tables

#: Longest name of a queue or a message, in bytes of UTF-8.
LONGEST_NAME = 255
#: Longest delay in seconds.
LONGEST_DELAY = 100 * 365 * 86400.0
#: Bytes of a packet kept for the statement and names around a body.
OVERHEAD = 4096
#: Bytes of SQL in one statement; further messages go into the next.
PACKET = 4 * 1024 * 1024


def max_body(max_allowed_packet: int) -> int:
    """Return the longest body in bytes that fits into a packet; hexadecimal doubles its length."""
    return max(0, (max_allowed_packet - OVERHEAD) // 2)


def check(messages: Sequence[Message], longest_body: int) -> None:
    """Raise `BrokerRejected` if one of `messages` cannot be stored."""
    for message in messages:
        check_message(
            message,
            longest_body=longest_body,
            longest_delay=LONGEST_DELAY,
            suffix=", half the server's max_allowed_packet",
        )
        for value in (message.id, message.queue):
            if len(value.encode(errors="surrogatepass")) > LONGEST_NAME:
                raise BrokerRejected(
                    f"{value[:20]!r}… is too long a name: at most {LONGEST_NAME} bytes are allowed"
                )


def portions(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Split `messages` into portions that fit into one packet each."""
    portion: list[Message] = []
    size = 0
    for message in messages:
        length = 2 * (len(message.body) + LONGEST_NAME)
        if portion and (size + length > PACKET or len(portion) == CHUNK):
            yield portion
            portion, size = [], 0
        portion.append(message)
        size += length
    if portion:
        yield portion


async def store(link: Link, tables: Tables, messages: Sequence[Message]) -> None:
    """Store messages whose ids are new, all or none of them, in one transaction."""
    parts = [
        ";".join([insert(tables, portion), *delete_dead(tables, portion)])
        for portion in portions(messages)
    ]
    parts[0] = f"{BEGIN};{parts[0]}"
    parts[-1] = f"{parts[-1]};{COMMIT}"
    for part in parts:
        await link.run(part)


def insert(tables: Tables, messages: Sequence[Message]) -> str:
    """Return the statement that stores messages whose ids are not in the queue table."""
    rows = ",".join(map(_row, messages))
    return (
        f"INSERT INTO {tables.queue} (queue, id, body, visible_at) VALUES {rows}"
        " ON DUPLICATE KEY UPDATE attempt = attempt"
    )


def delete_dead(tables: Tables, messages: Sequence[Message]) -> Iterator[str]:
    """Yield statements that remove messages just stored whose ids are dead letters.

    To be run after `insert`, which waits for a message that dies meanwhile; it is found here.
    """
    for source in _dead(tables, messages):
        yield f"DELETE m {source}"


def find_dead(tables: Tables, messages: Sequence[Message]) -> Iterator[str]:
    """Yield queries for the rows that `delete_dead` removes; they lock no rows."""
    for source in _dead(tables, messages):
        yield f"SELECT m.seq {source}"


def _row(message: Message) -> str:
    return (
        f"({name(message.queue)},{name(message.id)},{binary(message.body)},"
        f"{from_now(message.delay)})"
    )


def _dead(tables: Tables, messages: Sequence[Message]) -> Iterator[str]:
    """Yield a FROM clause for each queue: its rows `m` whose ids are dead letters."""
    by_queue: defaultdict[str, list[str]] = defaultdict(list)
    for message in messages:
        by_queue[message.queue].append(message.id)
    for queue, ids in by_queue.items():
        yield (
            f"FROM {tables.dead_letters} d {BY_NAME} STRAIGHT_JOIN {tables.queue} m {BY_NAME}"
            " ON m.queue = d.queue AND m.id = d.id"
            f" WHERE d.queue = {name(queue)} AND d.id IN ({names(ids)})"
        )
