"""Extends leases, and identifies the rows that deliveries hold."""

from collections.abc import Iterable, Sequence

from asynctasq.drivers import Delivery
from asynctasq_postgres.messages import check_seconds
from asynctasq_postgres.pool import Row
from asynctasq_postgres.session import Session

EXTEND = "SELECT * FROM {extend}($1, $2, $3, $4)"


async def extend(
    session: Session, deliveries: Sequence[Delivery], lease: float
) -> Sequence[Delivery]:
    """Extend leases to `lease` seconds from now; return the deliveries that lost theirs."""
    ordered = by_lock_order(deliveries)
    return lost(ordered, await session.call(EXTEND, *held(ordered), check_seconds(lease)))


def by_lock_order(deliveries: Iterable[Delivery]) -> list[Delivery]:
    """Return each delivery once, in the order in which every statement locks rows."""
    unique = {(delivery.queue, delivery.id, delivery.receipt): delivery for delivery in deliveries}
    return sorted(unique.values(), key=lambda delivery: (delivery.queue, delivery.id))


def held(deliveries: Sequence[Delivery]) -> tuple[list[str], list[str], list[object]]:
    """Return the first arguments of ``done``, ``settle`` and ``extend``."""
    return (
        [delivery.queue for delivery in deliveries],
        [delivery.id for delivery in deliveries],
        [delivery.receipt for delivery in deliveries],
    )


def lost(deliveries: Sequence[Delivery], rows: Sequence[Row]) -> list[Delivery]:
    """Return the deliveries at the positions in `rows`, which count from 1."""
    return [deliveries[position - 1] for (position,) in rows]
