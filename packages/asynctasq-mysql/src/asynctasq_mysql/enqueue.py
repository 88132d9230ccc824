"""The statements that store messages."""

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
#: Bytes of one packet that are no body: its statement, and names.
OVERHEAD = 4096
#: Bytes of SQL after which a statement takes no further message.
PACKET = 4 * 1024 * 1024


def max_body(max_allowed_packet: int) -> int:
    """The longest body, in bytes, that fits into a packet: as digits it is twice as long."""
    return max(0, (max_allowed_packet - OVERHEAD) // 2)


def check(messages: Sequence[Message], longest_body: int) -> None:
    """Raise `BrokerRejected` unless all of `messages` can be stored."""
    for message in messages:
        check_message(
            message,
            longest_body=longest_body,
            longest_delay=LONGEST_DELAY,
            because=", half the server's max_allowed_packet",
        )
        for one in (message.id, message.queue):
            if len(one.encode(errors="surrogatepass")) > LONGEST_NAME:
                raise BrokerRejected(
                    f"{one[:20]!r}… is too long a name: at most {LONGEST_NAME} bytes are possible"
                )


def portions(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """`messages` in portions that fit into one packet each, if each of them does."""
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
    """Store those whose ids are not stored, all or none of them, in a transaction of its own."""
    parts = [
        ";".join([insert(tables, portion), *delete_dead(tables, portion)])
        for portion in portions(messages)
    ]
    parts[0] = f"{BEGIN};{parts[0]}"
    parts[-1] = f"{parts[-1]};{COMMIT}"
    for part in parts:
        await link.run(part)


def insert(tables: Tables, messages: Sequence[Message]) -> str:
    """Store those whose ids are not stored."""
    rows = ",".join(map(_row, messages))
    return (
        f"INSERT INTO {tables.queue} (queue, id, body, visible_at) VALUES {rows}"
        " ON DUPLICATE KEY UPDATE attempt = attempt"
    )


def delete_dead(tables: Tables, messages: Sequence[Message]) -> Iterator[str]:
    """Take back those that are dead, for the transaction that stored them.

    In this order: a message that dies meanwhile holds up the first statement and is found here.
    """
    for source in _dead(tables, messages):
        yield f"DELETE m {source}"


def find_dead(tables: Tables, messages: Sequence[Message]) -> Iterator[str]:
    """The rows that `delete_dead` would remove; it locks nothing, in whatever isolation."""
    for source in _dead(tables, messages):
        yield f"SELECT m.seq {source}"


def _row(message: Message) -> str:
    return (
        f"({name(message.queue)},{name(message.id)},{binary(message.body)},"
        f"{from_now(message.delay)})"
    )


def _dead(tables: Tables, messages: Sequence[Message]) -> Iterator[str]:
    """The rows `m` of those that are dead, for each queue."""
    by_queue: defaultdict[str, list[str]] = defaultdict(list)
    for message in messages:
        by_queue[message.queue].append(message.id)
    for queue, ids in by_queue.items():
        yield (
            f"FROM {tables.dead_letters} d {BY_NAME} STRAIGHT_JOIN {tables.queue} m {BY_NAME}"
            " ON m.queue = d.queue AND m.id = d.id"
            f" WHERE d.queue = {name(queue)} AND d.id IN ({names(ids)})"
        )
