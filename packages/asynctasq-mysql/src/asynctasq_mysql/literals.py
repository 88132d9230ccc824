"""Values as parts of statements.

Text and bytes are written as hexadecimal literals, and durations as integers: nothing in them can
end a literal, whatever the character set and the sql_mode of a connection, and no client library's
way to bind bytes matters.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from asynctasq.errors import BrokerRejected

#: Most items of one statement.
CHUNK = 1000
NOW = "UTC_TIMESTAMP(6)"
#: For statements that name rows: a scan, which is cheaper where a table is small, would wait for
#: whoever holds any row.
BY_ROW = "FORCE INDEX (PRIMARY)"
BY_NAME = "FORCE INDEX (message)"
#: A transaction of several round trips. Its rows are locked, and skipped by all others, until the
#: server knows that who began it is gone: of a peer that went without a word it hears by nothing
#: but `wait_timeout`, which is eight hours by default.
BEGIN = "SET SESSION wait_timeout = 20; START TRANSACTION"
COMMIT = "COMMIT; SET SESSION wait_timeout = DEFAULT"

T = TypeVar("T")


def binary(value: bytes) -> str:
    """A string of bytes."""
    return f"x'{value.hex()}'"


def name(value: str) -> str:
    """The name of a queue, a message or a worker, as it is stored."""
    return binary(value.encode(errors="surrogatepass"))


def unnamed(value: bytes) -> str:
    """What `name` has made of a name."""
    return value.decode(errors="surrogatepass")


def names(values: Iterable[str]) -> str:
    """Names, for the brackets of IN."""
    return ",".join(map(name, values))


def text(value: str) -> str:
    """Text for people; what is no character is replaced."""
    return f"CONVERT({binary(value.encode(errors='replace'))} USING utf8mb4)"


def numbers(values: Iterable[int]) -> str:
    """Numbers, for the brackets of IN: sorted, as rows are to be locked."""
    return ",".join(map(str, sorted(values)))


def microseconds(seconds: float) -> int:
    """`seconds` in the unit of the tables, rounded up; refuses what is no duration."""
    if not (math.isfinite(seconds) and seconds >= 0):
        raise BrokerRejected(f"{seconds} is no length of time")
    return math.ceil(seconds * 1_000_000)


def from_now(seconds: float) -> str:
    """The moment so many seconds from now, by the server's clock."""
    return f"{NOW} + INTERVAL {microseconds(seconds)} MICROSECOND" if seconds else NOW


def chunks(items: Iterable[T]) -> Iterator[Sequence[T]]:
    """`items` in portions for one statement each."""
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
