"""Taking messages: a look that locks nothing, and a claim of what is due."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from asynctasq.drivers import Delivery
from asynctasq_mysql.connection import Link
from asynctasq_mysql.literals import BEGIN, BY_ROW, COMMIT, NOW, from_now, name, numbers
from asynctasq_mysql.tables import Tables


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
    """Lease messages that are due; with a `backlog`, the first queue is not looked at before."""
    taken: list[Delivery] = []
    if backlog:
        taken = await _take(link, tables, request.queues[0], request.limit, request.lease)
        if len(taken) == request.limit:
            return Claim(taken, 0.0)
    (rows,) = await link.run(_next_due(tables, request.queues))
    seconds = {position: due / 1_000_000 for position, due in rows if due is not None}
    for position, queue in enumerate(request.queues):
        left = request.limit - len(taken)
        if left > 0 and seconds.get(position, 1.0) <= 0:
            taken += await _take(link, tables, queue, left, request.lease)
    return Claim(taken, max(0.0, min(seconds.values())) if seconds else None)


async def _take(link: Link, tables: Tables, queue: str, limit: int, lease: float) -> list[Delivery]:
    *_, ((resting,),), rows = await link.run(
        f"{BEGIN}; SELECT {_is_paused(tables, queue)}; "
        f"SELECT seq, id, body, attempt FROM {tables.queue} FORCE INDEX (due)"
        f" WHERE queue = {name(queue)} AND visible_at <= {NOW}"
        f" ORDER BY visible_at, seq LIMIT {limit} FOR UPDATE SKIP LOCKED"
    )
    if resting or not rows:
        await link.run(COMMIT)
        return []
    token = secrets.randbits(63)
    await link.run(
        f"UPDATE {tables.queue} {BY_ROW} SET attempt = attempt + 1, token = {token},"
        f" visible_at = {from_now(lease)} WHERE seq IN ({numbers(row[0] for row in rows)});"
        f"{COMMIT}"
    )
    return [
        Delivery(message_id.decode(), queue, body, attempt + 1, Receipt(seq, token))
        for seq, message_id, body, attempt in rows
    ]


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
