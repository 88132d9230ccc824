"""What event loops say of a connection that is gone, in one voice."""

from collections.abc import Generator
from contextlib import contextmanager

#: uvloop's words.
_CLOSED = "the handler is closed"


@contextmanager
def resets() -> Generator[None]:
    """Raise `ConnectionResetError` for a write in the block to a transport that was reset.

    asyncio's own loop lets it pass, and the next read fails; uvloop raises a `RuntimeError`, in
    the moment in which the transport is closed and its reader does not know.
    """
    try:
        yield
    except RuntimeError as error:
        if _CLOSED not in str(error):
            raise
        raise ConnectionResetError("the connection was reset") from error
