"""Claims messages, and waits for new ones."""

import asyncio
import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from asynctasq.drivers import Delivery
from asynctasq_postgres.leases import by_lock_order
from asynctasq_postgres.pool import Row
from asynctasq_postgres.session import Session
from asynctasq_postgres.settle import release

CLAIM = "SELECT * FROM {claim}($1, $2, $3, $4)"

#: Least and most seconds until the next poll while other workers have locked all due messages.
CONTENDED = (0.002, 0.01)


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of one dequeue; `lease` in seconds."""

    queues: Sequence[str]
    limit: int
    lease: float


@dataclass(frozen=True, slots=True)
class Claim:
    """Leased messages, or the seconds until the next message is due (None if there is none)."""

    deliveries: list[Delivery]
    next_due: float | None = None


class Fetch:
    """One dequeue: claims until it has messages or its time is up."""

    def __init__(self, session: Session, request: Request) -> None:
        self._session = session
        self._request = request

    async def run(self, wait: float) -> list[Delivery]:
        """Take messages; returns nothing after `wait` seconds."""
        if wait <= 0:
            return (await self._claim()).deliveries
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        with self._session.waiters.waiting(self._request.queues) as waiter:
            while True:
                waiter.clear()  # before the claim: a wake-up during it is not lost
                claim = await self._claim()
                if claim.deliveries:
                    return claim.deliveries
                pause = self._pause(claim.next_due)
                await waiter.wait(min(pause, deadline - loop.time()))
                if loop.time() >= deadline:
                    return []

    def _pause(self, next_due: float | None) -> float:
        """Return the seconds until the next poll."""
        longest = self._session.listen() * random.uniform(0.8, 1.2)
        if next_due is None or next_due > longest:
            return longest
        return max(next_due, random.uniform(*CONTENDED))

    async def _claim(self) -> Claim:
        return await self._session.shield.run(self._take(), self._give_back)

    async def _take(self) -> Claim:
        token = secrets.randbits(63)
        request = self._request
        rows = await self._session.rows(CLAIM, request.queues, request.limit, request.lease, token)
        if rows and rows[0][1] is None:
            return Claim([], rows[0][5])
        return Claim(_delivered(rows, token))

    async def _give_back(self, claim: Claim) -> None:
        if claim.deliveries:
            await release(self._session, by_lock_order(claim.deliveries))


def _delivered(rows: Sequence[Row], token: int) -> list[Delivery]:
    return [
        Delivery(message_id, queue, body, attempt, token, abandoned)
        for queue, message_id, attempt, abandoned, body, _ in rows
    ]
