"""Encodes the notes of dead messages in the characters of the database's encoding."""

import codecs
from collections.abc import Generator
from contextlib import contextmanager

from asynctasq.errors import BrokerRejected
from asynctasq_postgres.errors import sqlstate

#: SQLSTATE: a character has no equivalent in the database's encoding, or is invalid in it.
_NO_SUCH_CHARACTER = ("22P05", "22021")


@contextmanager
def unless_unwritable() -> Generator[None]:
    """Suppress the error of a text in the block that the database's encoding cannot represent."""
    try:
        yield
    except BrokerRejected as error:
        if sqlstate(error) not in _NO_SUCH_CHARACTER:
            raise


def codec_of(encoding: str) -> str:
    """Return Python's codec for an encoding of PostgreSQL, or ASCII, which all include."""
    name = encoding.replace("WIN", "cp").replace("KOI8", "koi8-")
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "ascii"


def writable(note: str, codec: str = "utf-8") -> str:
    """Return `note` with a question mark for each character that `codec` lacks."""
    printable = note.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return printable.encode(codec, errors="replace").decode(codec)
