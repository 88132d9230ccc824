"""Applies outcomes; a batch of only DONE takes the shorter statement."""

from collections.abc import Sequence

from asynctasq.drivers import Delivery, Outcome, Settlement
from asynctasq_postgres.leases import held, lost
from asynctasq_postgres.messages import check_seconds
from asynctasq_postgres.notes import codec_of, unless_unwritable, writable
from asynctasq_postgres.pool import Row
from asynctasq_postgres.session import Session

DONE = "SELECT * FROM {done}($1, $2, $3)"
SETTLE = "SELECT * FROM {settle}($1, $2, $3, $4, $5, $6, $7)"
ENCODING = "SELECT current_setting('server_encoding')"

_REDELIVERED = (Outcome.RETRY, Outcome.RELEASE)


async def settle(session: Session, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
    """Apply `settlements`; return the deliveries whose lease was lost."""
    first: dict[tuple[str, str, object], Settlement] = {}
    repeated: list[Delivery] = []  # a second outcome in the same batch
    for item in settlements:
        delivery = item.delivery
        key = (delivery.queue, delivery.id, delivery.receipt)
        if first.setdefault(key, item) is not item:
            repeated.append(delivery)
    items = sorted(first.values(), key=lambda item: (item.delivery.queue, item.delivery.id))
    deliveries = [item.delivery for item in items]
    if all(item.outcome is Outcome.DONE for item in items):
        rows = await session.call(DONE, *held(deliveries))
    else:
        rows = await _settle(session, items)
    return [*lost(deliveries, rows), *repeated]


async def release(session: Session, deliveries: Sequence[Delivery]) -> None:
    """Release deliveries in lock order, for a caller that is shielded already."""
    count = len(deliveries)
    arguments = (*held(deliveries), ["release"] * count, [0.0] * count, [""] * count)
    arrivals = [(delivery.queue, 0.0) for delivery in deliveries]
    await session.store(arrivals, SETTLE, *arguments)


async def _settle(session: Session, items: Sequence[Settlement]) -> Sequence[Row]:
    # a note may have characters that the database's encoding lacks
    with unless_unwritable():
        return await _store(session, items, "utf-8")
    ((encoding,),) = await session.call(ENCODING)
    with unless_unwritable():
        return await _store(session, items, codec_of(encoding))
    return await _store(session, items, "ascii")


async def _store(session: Session, items: Sequence[Settlement], codec: str) -> Sequence[Row]:
    arrivals = [(item.delivery.queue, item.delay) for item in items if item.outcome in _REDELIVERED]
    deliveries = [item.delivery for item in items]
    return await session.store(arrivals, SETTLE, *held(deliveries), *_outcomes(items, codec))


def _outcomes(items: Sequence[Settlement], codec: str) -> tuple[list[str], list[float], list[str]]:
    """Return the further arguments of ``settle``, with notes that `codec` can encode."""
    return (
        [item.outcome.value for item in items],
        [check_seconds(item.delay) for item in items],
        [writable(item.note, codec) for item in items],
    )
