"""Enqueues: checks new messages, and sends them as one batch."""

from collections.abc import Sequence

from asynctasq.drivers import Limits, Message
from asynctasq.drivers.enqueue_checks import check_message, raise_failed
from asynctasq.errors import BrokerRejected
from asynctasq_rabbitmq.content import LONGEST_ID
from asynctasq_rabbitmq.sender import OutgoingMessage
from asynctasq_rabbitmq.session import Session


def check(messages: Sequence[Message], limits: Limits) -> None:
    """Raise `BrokerRejected` if one of `messages` cannot be stored."""
    for message in messages:
        _check_id(message)
        check_message(message, longest_body=limits.max_body, longest_delay=limits.max_delay)


async def store(session: Session, messages: Sequence[Message]) -> None:
    """Send messages; raise `EnqueueFailed` if only some of them were stored."""
    outgoing = [
        OutgoingMessage(message.id, message.queue, message.body, delay=message.delay)
        for message in messages
    ]
    results = await session.run(lambda: session.sender.send(outgoing))
    raise_failed(zip((message.id for message in messages), results, strict=True))


def _check_id(message: Message) -> None:
    if len(message.id) > LONGEST_ID or not _is_text(message.id):
        raise BrokerRejected(
            f"the id {message.id[:40]!r} is not possible: it is no valid text, or has more than"
            f" {LONGEST_ID} characters"
        )


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True
