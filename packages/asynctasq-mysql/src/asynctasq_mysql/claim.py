"""Claims messages: a poll that locks nothing, then a transaction that leases those due."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from asynctasq.drivers import Delivery
from asynctasq_mysql.connection import Link
from asynctasq_mysql.leases import Receipt
from asynctasq_mysql.literals import BEGIN, BY_ROW, COMMIT, NOW, from_now, name, numbers, unnamed
from asynctasq_mysql.names import Tables


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of one dequeue; `lease` in seconds."""

    queues: Sequence[str]
    limit: int
    lease: float


@dataclass(frozen=True, slots=True)
class Claim:
    """Leased messages, and the seconds until the next message is due (None if there is none)."""

    deliveries: list[Delivery]
    next_due: float | None


async def claim(link: Link, tables: Tables, request: Request, *, backlog: bool = False) -> Claim:
    """Lease messages that are due; with a `backlog`, claim from the first queue without a poll.

    Each queue is a transaction of its own; after an error, messages leased before it are returned.
    """
    taken: list[Delivery] = []
    try:
        next_due = await _claim(link, tables, request, taken, backlog=backlog)
    except Exception:  # of any kind: the next claim fails alike, with nothing leased to lose
        if not taken:
            raise
        link.abort()  # a transaction may be open
        next_due = 0.0
    return Claim(taken, next_due)


async def _claim(
    link: Link, tables: Tables, request: Request, taken: list[Delivery], *, backlog: bool
) -> float | None:
    """Append leased messages to `taken`; return the seconds until the next message is due."""
    if backlog:
        taken += await _take(link, tables, request.queues[0], request.limit, request.lease)
        if len(taken) == request.limit:
            return 0.0
    (rows,) = await link.run(_next_due(tables, request.queues))
    seconds = {position: due / 1_000_000 for position, due in rows if due is not None}
    for position, queue in enumerate(request.queues):
        room = request.limit - len(taken)
        if room > 0 and seconds.get(position, 1.0) <= 0:
            taken += await _take(link, tables, queue, room, request.lease)
    return max(0.0, min(seconds.values())) if seconds else None


async def _take(link: Link, tables: Tables, queue: str, limit: int, lease: float) -> list[Delivery]:
    *_, ((paused,),), rows = await link.run(
        f"{BEGIN}; SELECT {_is_paused(tables, queue)}; "
        "SELECT seq, id, body, attempt, abandoned OR token IS NOT NULL"
        f" FROM {tables.queue} FORCE INDEX (due)"
        f" WHERE queue = {name(queue)} AND visible_at <= {NOW}"
        f" ORDER BY visible_at, seq LIMIT {limit} FOR UPDATE SKIP LOCKED"
    )
    if paused or not rows:
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
        # assignments run from left to right: each sees the values set before it
        f"UPDATE {tables.queue} {BY_ROW} SET attempt = attempt + 1,"
        f" abandoned = abandoned OR token IS NOT NULL, token = {token},"
        f" visible_at = {from_now(lease)} WHERE seq IN ({numbers(row[0] for row in rows)});"
        f"{COMMIT}"
    )
    return taken


def _next_due(tables: Tables, queues: Sequence[str]) -> str:
    """Select a row for each queue: its position, and microseconds until its next message."""
    return " UNION ALL ".join(
        f"SELECT {position}, IF({_is_paused(tables, queue)}, NULL, TIMESTAMPDIFF(MICROSECOND,"
        f" {NOW}, (SELECT visible_at FROM {tables.queue} FORCE INDEX (due)"
        f" WHERE queue = {name(queue)} ORDER BY visible_at, seq LIMIT 1)))"
        for position, queue in enumerate(queues)
    )


def _is_paused(tables: Tables, queue: str) -> str:
    return f"EXISTS (SELECT 1 FROM {tables.paused} WHERE queue = {name(queue)})"
