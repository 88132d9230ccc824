"""Translates queue names to names that SQS accepts, and back.

SQS accepts 80 letters, digits, hyphens and underscores, and ``.fifo`` at the end. Such names stay
as they are. Other bytes become ``_0x…_`` with their hexadecimal digits, as does the underscore of a
literal ``_0x``. A name that is too long keeps a readable start and ends with ``_h…_``, a hash of
the whole name.
"""

import re
from hashlib import sha256

FIFO = ".fifo"
LONGEST = 80

_ODD = re.compile(r"[^A-Za-z0-9_-]+")
_LITERAL = re.compile(r"_(?=0x)")
_ESCAPED = re.compile(r"_0x((?:[0-9a-f]{2})+)_")
_HASHED = re.compile(r"[A-Za-z0-9_-]+_h[0-9a-f]{16}_")


def is_fifo(queue: str) -> bool:
    """Return whether the queue of this name is a FIFO queue."""
    return queue.endswith(FIFO)


def sqs_name(queue: str, *, prefix: str = "", suffix: str = "") -> str:
    """Return the unique SQS name of `queue`, with `suffix` before any ``.fifo``."""
    end = FIFO if is_fifo(queue) else ""
    stem = queue.removesuffix(end) if end else queue
    # a list of queues shows hashed names, which stand for their original queues
    name = stem if _HASHED.fullmatch(stem) else _ODD.sub(_escape, _LITERAL.sub(_escape, stem))
    room = LONGEST - len(prefix) - len(end)
    name = _fitted(name, room)
    if suffix:
        name = _fitted(name, room - len(suffix)) + suffix
    return f"{prefix}{name}{end}"


def queue_name(name: str, *, prefix: str = "") -> str:
    """Return the queue of an SQS name."""
    end = FIFO if is_fifo(name) else ""
    stem = name.removeprefix(prefix)
    stem = stem.removesuffix(end) if end else stem
    return (stem if _HASHED.fullmatch(stem) else _ESCAPED.sub(_unescape, stem)) + end


def _fitted(name: str, room: int) -> str:
    if len(name) <= room:
        return name
    digest = f"_h{sha256(name.encode()).hexdigest()[:16]}_"
    return name[: max(1, room - len(digest))] + digest


def _escape(match: re.Match[str]) -> str:
    return f"_0x{match[0].encode(errors='surrogatepass').hex()}_"


def _unescape(match: re.Match[str]) -> str:
    return bytes.fromhex(match[1]).decode(errors="replace")
