"""Normalises asyncio's and uvloop's errors for a write to a reset connection."""

from collections.abc import Generator
from contextlib import contextmanager

#: Part of the text of uvloop's `RuntimeError`.
_CLOSED = "the handler is closed"


@contextmanager
def resets() -> Generator[None]:
    """Raise `ConnectionResetError` for a write in the block to a transport that was reset.

    asyncio's own loop ignores the write, and the next read fails. uvloop raises `RuntimeError`
    while the transport is closed and its reader is not notified yet.
    """
    try:
        yield
    except RuntimeError as error:
        if _CLOSED not in str(error):
            raise
        raise ConnectionResetError("the connection was reset") from error
