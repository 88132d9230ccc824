"""Stores messages: usually in one statement, a large batch in several."""

from collections.abc import Iterable, Iterator, Sequence

from asynctasq.drivers import Message
from asynctasq.errors import BrokerError, EnqueueFailed
from asynctasq_postgres.session import Session

ENQUEUE = "SELECT {enqueue}($1, $2, $3, $4, $5)"

#: Most messages, and bytes of bodies, of one statement: even a slow server or connection executes
#: it long before the statement limit.
CHUNK_ROWS = 5000
CHUNK_BYTES = 16 * 1024 * 1024


async def store(session: Session, messages: Sequence[Message]) -> None:
    """Store checked messages; raises as `BaseDriver.enqueue` does."""
    accepted: list[str] = []
    for chunk in chunks(messages):
        arrivals = [(message.queue, message.delay) for message in chunk]
        try:
            await session.store(arrivals, ENQUEUE, *columns(chunk))
        except BrokerError as error:
            if not accepted:
                raise
            rejected = [message.id for message in messages[len(accepted) :]]
            raise EnqueueFailed(str(error), accepted=accepted, rejected=rejected) from error
        accepted += [message.id for message in chunk]


def chunks(messages: Iterable[Message]) -> Iterator[Sequence[Message]]:
    """Split `messages` into chunks for one statement each."""
    chunk: list[Message] = []
    size = 0
    for message in messages:
        full = len(chunk) == CHUNK_ROWS or size + len(message.body) > CHUNK_BYTES
        if chunk and full:
            yield chunk
            chunk, size = [], 0
        chunk.append(message)
        size += len(message.body)
    if chunk:
        yield chunk


def columns(messages: Sequence[Message]) -> tuple[list[str], list[str], list[bytes], list[float]]:
    """Return the first arguments of ``enqueue``."""
    return (
        [message.queue for message in messages],
        [message.id for message in messages],
        [message.body for message in messages],
        [float(message.delay) for message in messages],
    )
