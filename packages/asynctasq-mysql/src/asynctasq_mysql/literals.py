"""Writes values as SQL literals.

Text and bytes become hexadecimal literals, and durations integers: no value can end a literal,
whatever the connection's character set and sql_mode, and none depends on how a client library
binds bytes.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from asynctasq.errors import BrokerRejected

#: Maximum number of items in one statement.
CHUNK = 1000
NOW = "UTC_TIMESTAMP(6)"
#: Index hints for statements that name rows: a scan, which the optimizer prefers for a small table,
#: would wait for every locked row.
BY_ROW = "FORCE INDEX (PRIMARY)"
BY_NAME = "FORCE INDEX (message)"
#: Begins a transaction of several round trips. All others skip its locked rows until it ends; when
#: the client vanishes, only `wait_timeout` (eight hours by default) ends it.
BEGIN = "SET SESSION wait_timeout = 20; START TRANSACTION"
COMMIT = "COMMIT; SET SESSION wait_timeout = DEFAULT"

T = TypeVar("T")


def binary(value: bytes) -> str:
    """Return a literal of bytes."""
    return f"x'{value.hex()}'"


def name(value: str) -> str:
    """Return the literal of a queue's name, a message's or a worker's id, as it is stored."""
    return binary(value.encode(errors="surrogatepass"))


def unnamed(value: bytes) -> str:
    """Decode a stored name: the inverse of `name`."""
    return value.decode(errors="surrogatepass")


def names(values: Iterable[str]) -> str:
    """Return a list of names for IN (…)."""
    return ",".join(map(name, values))


def text(value: str) -> str:
    """Return the literal of text for people; lone surrogates are replaced."""
    return f"CONVERT({binary(value.encode(errors='replace'))} USING utf8mb4)"


def numbers(values: Iterable[int]) -> str:
    """Return a list of numbers for IN (…), sorted: the order in which rows are locked."""
    return ",".join(map(str, sorted(values)))


def microseconds(seconds: float) -> int:
    """Convert to microseconds, rounded up; raise `BrokerRejected` if it is no duration."""
    if not (math.isfinite(seconds) and seconds >= 0):
        raise BrokerRejected(f"{seconds} is not a duration")
    return math.ceil(seconds * 1_000_000)


def from_now(seconds: float) -> str:
    """Return the expression for `seconds` from now, by the server's clock."""
    return f"{NOW} + INTERVAL {microseconds(seconds)} MICROSECOND" if seconds else NOW


def chunks(items: Iterable[T]) -> Iterator[Sequence[T]]:
    """Split `items` into portions for one statement each."""
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
