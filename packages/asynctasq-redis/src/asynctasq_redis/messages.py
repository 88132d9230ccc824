"""Durations, chunks and deliveries as the scripts' arguments and replies."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar, cast

from asynctasq.drivers import Delivery
from asynctasq.errors import BrokerRejected

#: Most items of one script call: Lua's `unpack` is limited to thousands of arguments, and a script
#: blocks the server while it runs.
CHUNK = 500
#: Digits before each stored body: microseconds since when it is deliverable.
STAMP = 16

T = TypeVar("T")


def microseconds(seconds: float) -> int:
    """Convert to the unit of the scripts, rounded up; raises `BrokerRejected` if invalid."""
    if not (math.isfinite(seconds) and seconds >= 0):
        raise BrokerRejected(f"{seconds} is not a duration in seconds")
    return math.ceil(seconds * 1_000_000)


def chunks(items: Iterable[T]) -> Iterator[Sequence[T]]:
    """Split `items` into chunks for one script call each."""
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def delivered(queue: str, ids: object, receipts: object, bodies: object) -> list[Delivery]:
    """Return the deliveries in three lists of a reply of ``dequeue`` or ``lost``."""
    rows = zip(*(cast(Sequence[bytes], items) for items in (ids, receipts, bodies)), strict=True)
    return [
        Delivery(message_id.decode(), queue, body[STAMP:], *_attempt(receipt))
        for message_id, receipt, body in rows
    ]


def _attempt(receipt: bytes) -> tuple[int, bytes, bool]:
    """Return attempt, receipt and `abandoned`, from ``attempt:token`` or ``attempt!token``."""
    attempt, mark, _ = receipt.partition(b":")
    if mark:
        return int(attempt), receipt, False
    return int(receipt.partition(b"!")[0]), receipt, True
