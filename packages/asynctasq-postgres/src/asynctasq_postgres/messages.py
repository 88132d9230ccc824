"""The limits of messages, and checks of arguments."""

import math

from asynctasq.drivers import Message, enqueue_checks
from asynctasq.errors import BrokerRejected

MAX_BODY = 64 * 1024 * 1024
MAX_DELAY = 100 * 365 * 86400.0
#: Longest queue name or id in bytes, so that both fit into an index entry.
MAX_NAME = 1000


def check_message(message: Message) -> None:
    """Raise `BrokerRejected` for a message that cannot be stored."""
    _check_name(message.queue)
    _check_name(message.id)
    enqueue_checks.check_message(message, longest_body=MAX_BODY, longest_delay=MAX_DELAY)


def check_seconds(seconds: float) -> float:
    """Return `seconds`; raises `BrokerRejected` unless they are a valid duration."""
    if not (math.isfinite(seconds) and 0 <= seconds <= MAX_DELAY):
        raise BrokerRejected(f"{seconds} is not a valid duration in seconds")
    return seconds


def _check_name(name: str) -> None:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        size = 0
    if not 0 < size <= MAX_NAME or "\0" in name:
        raise BrokerRejected(
            f"{name[:40]!r}: the name of a queue or a message has 1 to {MAX_NAME} bytes of UTF-8,"
            " and no NUL character"
        )
