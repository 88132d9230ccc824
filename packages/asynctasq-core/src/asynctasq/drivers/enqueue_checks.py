"""Checks of a driver before it stores messages, and the error when only a part was stored."""

from collections.abc import Iterable

from asynctasq.drivers.base_driver import Message
from asynctasq.errors import BrokerError, BrokerRejected, EnqueueFailed


def check_message(
    message: Message, *, longest_body: int, longest_delay: float, suffix: str = ""
) -> None:
    """Raise `BrokerRejected` for a body (bytes) or a delay (seconds) that is too long.

    `suffix` ends the error text about a body.
    """
    if len(message.body) > longest_body:
        raise BrokerRejected(
            f"message {message.id:.80} has {len(message.body)} bytes;"
            f" at most {longest_body} are possible{suffix}"
        )
    check_delay(message.id, message.delay, longest=longest_delay)


def check_delay(message_id: str, delay: float, *, longest: float) -> None:
    """Raise `BrokerRejected` for a delay (seconds) that is negative, NaN, or too long."""
    if not 0 <= delay <= longest:
        raise BrokerRejected(
            f"message {message_id:.80} has a delay of {delay} seconds; 0 to {longest:.0f} are"
            " possible"
        )


def raise_failed(results: Iterable[tuple[str, BrokerError | None]]) -> None:
    """Raise the error of a batch; `results` pairs each message id with its error, or None.

    Raises:
        EnqueueFailed: only a part was stored.
        BrokerError: nothing was stored; the first message's error.
    """
    results = list(results)
    first = next((error for _, error in results if error is not None), None)
    if first is None:
        return
    accepted = [message_id for message_id, error in results if error is None]
    if not accepted:
        raise first
    rejected = [message_id for message_id, error in results if error is not None]
    raise EnqueueFailed(str(first), accepted=accepted, rejected=rejected) from first
