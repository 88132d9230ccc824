"""Taking messages: a look that locks nothing, and a claim of what is due."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from asynctasq.drivers import Delivery
from asynctasq_mysql.connection import Link
from asynctasq_mysql.literals import BEGIN, BY_ROW, COMMIT, NOW, from_now, name, numbers, unnamed
from asynctasq_mysql.names import Tables


class Receipt(NamedTuple):
    """A row, and the random number of the claim that holds it."""

    seq: int
    token: int


@dataclass(frozen=True, slots=True)
class Request:
    """What a dequeue asks for; `lease` in seconds."""

    queues: Sequence[str]
    limit: int
    lease: float


@dataclass(frozen=True, slots=True)
class Claim:
    """What was taken, and the seconds until there is something to take, None if nothing is."""

    deliveries: list[Delivery]
    soonest: float | None


async def claim(link: Link, tables: Tables, request: Request, *, backlog: bool = False) -> Claim:
    """Lease messages that are due; with a `backlog`, the first queue is not looked at before.

    Each queue's part is a transaction of its own: after an error, what is leased is returned.
    """
    taken: list[Delivery] = []
    try:
        soonest = await _claim(link, tables, request, taken, backlog=backlog)
    except Exception:  # of any kind: the next claim meets it again, with nothing to lose
        if not taken:
            raise
        link.abort()  # it may be in the middle of a transaction
        soonest = 0.0
    return Claim(taken, soonest)


async def _claim(
    link: Link, tables: Tables, request: Request, taken: list[Delivery], *, backlog: bool
) -> float | None:
    """Add what is leased to `taken`; return the seconds until there is something to take."""
    if backlog:
        taken += await _take(link, tables, request.queues[0], request.limit, request.lease)
        if len(taken) == request.limit:
            return 0.0
    (rows,) = await link.run(_next_due(tables, request.queues))
    seconds = {position: due / 1_000_000 for position, due in rows if due is not None}
    for position, queue in enumerate(request.queues):
        left = request.limit - len(taken)
        if left > 0 and seconds.get(position, 1.0) <= 0:
            taken += await _take(link, tables, queue, left, request.lease)
    return max(0.0, min(seconds.values())) if seconds else None


async def _take(link: Link, tables: Tables, queue: str, limit: int, lease: float) -> list[Delivery]:
    *_, ((resting,),), rows = await link.run(
        f"{BEGIN}; SELECT {_is_paused(tables, queue)}; "
        "SELECT seq, id, body, attempt, abandoned OR token IS NOT NULL"
        f" FROM {tables.queue} FORCE INDEX (due)"
        f" WHERE queue = {name(queue)} AND visible_at <= {NOW}"
        f" ORDER BY visible_at, seq LIMIT {limit} FOR UPDATE SKIP LOCKED"
    )
    if resting or not rows:
        await link.run(COMMIT)
        return []
    token = secrets.randbits(63)
    taken = [
        Delivery(
            unnamed(message_id), queue, body, attempt + 1, Receipt(seq, token), bool(abandoned)
        )
        for seq, message_id, body, attempt, abandoned in rows
    ]
    await link.run(
        # from left to right: each sees what those before it have set
        f"UPDATE {tables.queue} {BY_ROW} SET attempt = attempt + 1,"
        f" abandoned = abandoned OR token IS NOT NULL, token = {token},"
        f" visible_at = {from_now(lease)} WHERE seq IN ({numbers(row[0] for row in rows)});"
        f"{COMMIT}"
    )
    return taken


def _next_due(tables: Tables, queues: Sequence[str]) -> str:
    """One row for each queue: its number, and the microseconds until its next message is due."""
    return " UNION ALL ".join(
        f"SELECT {position}, IF({_is_paused(tables, queue)}, NULL, TIMESTAMPDIFF(MICROSECOND,"
        f" {NOW}, (SELECT visible_at FROM {tables.queue} FORCE INDEX (due)"
        f" WHERE queue = {name(queue)} ORDER BY visible_at, seq LIMIT 1)))"
        for position, queue in enumerate(queues)
    )


def _is_paused(tables: Tables, queue: str) -> str:
    return f"EXISTS (SELECT 1 FROM {tables.paused} WHERE queue = {name(queue)})"
