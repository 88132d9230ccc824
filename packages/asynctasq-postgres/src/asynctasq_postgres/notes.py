"""Notes of dead messages, in characters that the database has."""

import codecs
from collections.abc import Generator
from contextlib import contextmanager

from asynctasq.errors import BrokerRejected
from asynctasq_postgres.errors import sqlstate

#: No equivalent in the database's encoding, and no character of it.
_NO_SUCH_CHARACTER = ("22P05", "22021")


@contextmanager
def unless_unwritable() -> Generator[None]:
    """Go on after the block where the database has no characters for a text in it."""
    try:
        yield
    except BrokerRejected as error:
        if sqlstate(error) not in _NO_SUCH_CHARACTER:
            raise


def codec_of(encoding: str) -> str:
    """Python's name for an encoding of PostgreSQL's; ASCII, which all have, where there is none."""
    name = encoding.replace("WIN", "cp").replace("KOI8", "koi8-")
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "ascii"


def writable(note: str, codec: str = "utf-8") -> str:
    """`note` with a question mark for each character that cannot be stored."""
    printable = note.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return printable.encode(codec, errors="replace").decode(codec)
