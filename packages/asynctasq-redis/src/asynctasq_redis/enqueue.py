"""Stores messages: a large batch takes several exchanges, each with its own time limit.

A *portion* is the messages of one script call, all of one queue. An exchange is one round trip.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from asynctasq.drivers import Message
from asynctasq.drivers.enqueue_checks import raise_failed
from asynctasq.errors import BrokerError
from asynctasq_redis.messages import chunks, microseconds
from asynctasq_redis.scripts import Argument, Call
from asynctasq_redis.session import Session

#: Bytes of bodies after which a portion takes no further message.
CHUNK_BYTES = 4 * 1024 * 1024
#: Messages, and bytes of bodies, after which an exchange takes no further portion.
ROWS, BYTES = 5000, 16 * 1024 * 1024

#: Messages of one queue for one call.
Portion = Sequence[Message]


async def enqueue(session: Session, messages: Sequence[Message]) -> None:
    """Store `messages`; raises as `BaseDriver.enqueue` does.

    Messages of an exchange without an answer count as rejected. After a failure no further
    exchange is sent, and its messages count as rejected, too.
    """
    results: list[tuple[str, BrokerError | None]] = []
    failure: BrokerError | None = None
    for parts in _exchanges(_portions(messages)):
        errors = [failure] * len(parts) if failure else await _exchange(session, parts)
        failure = next((error for error in errors if error is not None), None)
        for part, error in zip(parts, errors, strict=True):
            results += [(message.id, error) for message in part]
    raise_failed(results)


def _portions(messages: Sequence[Message]) -> Iterator[Portion]:
    """Split `messages` into portions, without repeated ids."""
    by_queue: defaultdict[str, dict[str, Message]] = defaultdict(dict)
    for message in messages:
        by_queue[message.queue].setdefault(message.id, message)
    for unique in by_queue.values():
        yield from _sized(unique.values())


def _sized(messages: Iterable[Message]) -> Iterator[Portion]:
    for portion in chunks(messages):
        chunk: list[Message] = []
        size = 0
        for message in portion:
            chunk.append(message)
            size += len(message.body)
            if size > CHUNK_BYTES:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk


def _exchanges(parts: Iterable[Portion]) -> Iterator[Sequence[Portion]]:
    exchange: list[Portion] = []
    rows = size = 0
    for part in parts:
        exchange.append(part)
        rows += len(part)
        size += sum(len(message.body) for message in part)
        if rows >= ROWS or size >= BYTES:
            yield exchange
            exchange, rows, size = [], 0, 0
    if exchange:
        yield exchange


async def _exchange(session: Session, parts: Sequence[Portion]) -> Sequence[BrokerError | None]:
    """Return the error of each portion, or None."""
    queues = [part[0].queue for part in parts]
    keys = [session.listing.keys_to_store(queue) for queue in queues]
    calls = [_call(*call) for call in zip(keys, parts, strict=True)]
    try:
        replies = await session.listing.store(queues, calls)
    except BrokerError as error:
        return [error] * len(parts)
    return [reply if isinstance(reply, BrokerError) else None for reply in replies]


def _call(keys: Sequence[str], messages: Portion) -> Call:
    arguments: list[Argument] = [messages[0].queue, len(messages)]
    arguments += [message.id for message in messages]
    arguments += [message.body for message in messages]
    if any(message.delay for message in messages):
        arguments += [microseconds(message.delay) for message in messages]
    return Call("enqueue", keys, arguments)
