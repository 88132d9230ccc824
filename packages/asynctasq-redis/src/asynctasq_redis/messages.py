"""Messages, outcomes and deliveries as arguments and replies of the scripts."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar, cast

from asynctasq.drivers import Delivery, Message, Outcome, Settlement
from asynctasq.errors import BrokerRejected
from asynctasq_redis.names import Keys
from asynctasq_redis.scripts import Argument, Call

#: Most items of one script call: Lua cannot spread thousands of arguments, and nobody else
#: is served meanwhile.
CHUNK = 500
#: Bytes of bodies after which a call takes no further message.
CHUNK_BYTES = 4 * 1024 * 1024
#: Digits before each stored body: since when it is deliverable.
STAMP = 16

T = TypeVar("T")


def microseconds(seconds: float) -> int:
    """`seconds` in the unit of the scripts, rounded up; refuses what is no duration."""
    if not (math.isfinite(seconds) and seconds >= 0):
        raise BrokerRejected(f"{seconds} is no length of time")
    return math.ceil(seconds * 1_000_000)


def chunks(items: Iterable[T]) -> Iterator[Sequence[T]]:
    """`items` in portions for one script call each."""
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def portions(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """`messages` without repeated ids, in portions of one queue for one script call each."""
    by_queue: defaultdict[str, dict[str, Message]] = defaultdict(dict)
    for message in messages:
        by_queue[message.queue].setdefault(message.id, message)
    for unique in by_queue.values():
        yield from _sized(unique.values())


def enqueue_call(keys: Sequence[str], messages: Sequence[Message]) -> Call:
    """The call that stores a portion of messages."""
    arguments: list[Argument] = [messages[0].queue, len(messages)]
    arguments += [message.id for message in messages]
    arguments += [message.body for message in messages]
    if any(message.delay for message in messages):
        arguments += [microseconds(message.delay) for message in messages]
    return Call("enqueue", keys, arguments)


def settle_calls(
    keys: Keys, settlements: Sequence[Settlement]
) -> Iterator[tuple[Call, Sequence[Delivery]]]:
    """The calls that apply `settlements`, each with its deliveries."""
    done: defaultdict[str, list[Delivery]] = defaultdict(list)
    other: defaultdict[str, list[Settlement]] = defaultdict(list)
    for item in settlements:
        if item.outcome is Outcome.DONE:
            done[item.delivery.queue].append(item.delivery)
        else:
            other[item.delivery.queue].append(item)
    for queue, deliveries in done.items():
        for chunk in chunks(deliveries):
            yield Call("done", keys.of("done", queue), _held(chunk)), chunk
    for queue, items in other.items():
        for chunk in chunks(items):
            arguments = [argument for item in chunk for argument in _outcome(item)]
            call = Call("settle", keys.of("settle", queue), arguments)
            yield call, [item.delivery for item in chunk]


def extend_calls(
    keys: Keys, deliveries: Sequence[Delivery], lease: int
) -> Iterator[tuple[Call, Sequence[Delivery]]]:
    """The calls that extend leases, each with its deliveries."""
    by_queue: defaultdict[str, list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        by_queue[delivery.queue].append(delivery)
    for queue, held in by_queue.items():
        for chunk in chunks(held):
            yield Call("extend", keys.of("extend", queue), [lease, *_held(chunk)]), chunk


def delivered(queue: str, ids: object, receipts: object, bodies: object) -> list[Delivery]:
    """The deliveries in three lists of a reply of ``dequeue``."""
    rows = zip(*(cast(Sequence[bytes], items) for items in (ids, receipts, bodies)), strict=True)
    return [
        Delivery(message_id.decode(), queue, body[STAMP:], *_attempt(receipt))
        for message_id, receipt, body in rows
    ]


def _sized(messages: Iterable[Message]) -> Iterator[Sequence[Message]]:
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


def _attempt(receipt: bytes) -> tuple[int, bytes, bool]:
    """The last three fields of a delivery."""
    attempt, mark, _ = receipt.partition(b":")
    if mark:
        return int(attempt), receipt, False
    return int(receipt.partition(b"!")[0]), receipt, True


def _held(deliveries: Sequence[Delivery]) -> list[Argument]:
    ids: list[Argument] = [delivery.id for delivery in deliveries]
    receipts: list[Any] = [delivery.receipt for delivery in deliveries]
    return [*ids, *receipts]


def _outcome(item: Settlement) -> tuple[Argument, ...]:
    delivery, delay = item.delivery, microseconds(item.delay)
    receipt: Any = delivery.receipt
    return (delivery.id, receipt, item.outcome.value, delay, item.note)
