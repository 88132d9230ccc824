"""Storing messages: a large batch takes several exchanges, each with its own limit of time."""

from collections.abc import Iterable, Iterator, Sequence

from asynctasq.drivers import Message
from asynctasq.drivers.enqueue_checks import raise_failed
from asynctasq.errors import BrokerError
from asynctasq_redis.messages import enqueue_call, portions
from asynctasq_redis.session import Session

#: Messages, and bytes of bodies, after which an exchange takes no further portion.
ROWS, BYTES = 5000, 16 * 1024 * 1024

#: Messages of one queue for one call.
Portion = Sequence[Message]


async def store(session: Session, messages: Sequence[Message]) -> None:
    """Store `messages`; raises as `BaseDriver.enqueue` does.

    Messages of an exchange without an answer count as rejected, and so do all that follow an
    exchange in which something failed: they are not sent.
    """
    results: list[tuple[str, BrokerError | None]] = []
    failure: BrokerError | None = None
    for parts in _exchanges(portions(messages)):
        errors = [failure] * len(parts) if failure else await _exchange(session, parts)
        failure = next((error for error in errors if error is not None), None)
        for part, error in zip(parts, errors, strict=True):
            results += [(message.id, error) for message in part]
    raise_failed(results)


def _exchanges(parts: Iterable[Portion]) -> Iterator[Sequence[Portion]]:
    exchange: list[Portion] = []
    rows = size = 0
    for part in parts:
        exchange.append(part)
        rows += len(part)
        size += sum(len(message.body) for message in part)
        if rows >= ROWS or size >= BYTES:
            yield exchange
            exchange, rows, size = [], 0, 0
    if exchange:
        yield exchange


async def _exchange(session: Session, parts: Sequence[Portion]) -> Sequence[BrokerError | None]:
    """Why each portion was not stored, or None."""
    queues = [part[0].queue for part in parts]
    keys = [session.listing.keys_to_store(queue) for queue in queues]
    calls = [enqueue_call(*call) for call in zip(keys, parts, strict=True)]
    try:
        replies = await session.listing.store(queues, calls)
    except BrokerError as error:
        return [error] * len(parts)
    return [reply if isinstance(reply, BrokerError) else None for reply in replies]
