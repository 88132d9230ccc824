"""Delays of any length, by a ladder of queues that all messages share.

Level k is a queue whose messages expire after 2^k milliseconds and go on to the exchange of the
level below. The words of the routing key are the bits of the delay: an exchange routes a
message into its level's queue for a 1 and to the exchange below for a 0. Below the last level is
the exchange that routes to the target queues. So no message waits behind another, whatever their
delays, and no delay depends on the process that declared it. Celery's "native delayed delivery"
does the same with seconds.
"""

import math

#: The longest delay is 2^36 milliseconds, or two years and two months.
LEVELS = 36
#: Significant bits: each set bit costs a message one hop; 1 hour is exact to a second.
PRECISION = 12
MAX_DELAY = (2**LEVELS - 1) / 1000 * 0.999  # a delay rounded up must still fit


def milliseconds(delay: float) -> int:
    """Convert `delay` seconds to milliseconds, rounded up to `PRECISION` significant bits."""
    exact = math.ceil(delay * 1000)
    unit = 1 << max(0, exact.bit_length() - PRECISION)
    return -(-exact // unit) * unit


def routing_key(delay: int, word: str) -> str:
    """Return the routing key for a delay in milliseconds and a queue's word."""
    return ".".join(f"{delay:0{LEVELS}b}") + "." + word


def top_level(delay: int) -> int:
    """Return the level to whose exchange a message with this delay is published."""
    return delay.bit_length() - 1


def pattern(level: int, bit: int) -> str:
    """Return the binding pattern of all routing keys with this bit at this level."""
    return "*." * (LEVELS - 1 - level) + f"{bit}.#"
