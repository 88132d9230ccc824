"""What the bare clients share: they count messages, and run no tasks."""

import struct

from tally import tally

SENT = struct.Struct("d")
#: The body of a message that is only counted.
NOOP = b"noop"


def count(body: bytes) -> None:
    """Count a message; one of ``send`` holds when it was sent."""
    if body == NOOP:
        tally.hit()
    else:
        tally.stamp(*SENT.unpack(body))
