"""What a driver checks before it stores messages, and how it tells that a part was not stored."""

from collections.abc import Iterable

from asynctasq.drivers.base_driver import Message
from asynctasq.errors import BrokerError, BrokerRejected, EnqueueFailed


def check_message(
    message: Message, *, longest_body: int, longest_delay: float, because: str = ""
) -> None:
    """Raise `BrokerRejected` for a body (bytes) or a delay (seconds) that is too long.

    `because` ends what is said of a body.
    """
    if len(message.body) > longest_body:
        raise BrokerRejected(
            f"message {message.id:.80} has {len(message.body)} bytes;"
            f" at most {longest_body} are possible{because}"
        )
    check_delay(message.id, message.delay, longest=longest_delay)


def check_delay(message_id: str, delay: float, *, longest: float) -> None:
    """Raise `BrokerRejected` for a delay that is negative, no number, or too long (seconds)."""
    if not 0 <= delay <= longest:
        raise BrokerRejected(
            f"message {message_id:.80} has a delay of {delay} seconds; 0 to {longest:.0f} are"
            " possible"
        )


def raise_failed(results: Iterable[tuple[str, BrokerError | None]]) -> None:
    """Raise what came of a batch, given the id of each message and why it was not stored.

    Raises:
        EnqueueFailed: a part was stored.
        BrokerError: none was; it is the first message's.
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
