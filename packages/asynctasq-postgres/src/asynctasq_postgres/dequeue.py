"""Taking messages, and waiting for some."""

import asyncio
import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from asynctasq.drivers import Delivery
from asynctasq_postgres.messages import CLAIM, SETTLE, by_lock_order, delivered, held
from asynctasq_postgres.session import Session

#: Seconds to the next look, when somebody else is just taking what there is: least and most.
CROWDED = (0.002, 0.01)


@dataclass(frozen=True, slots=True)
class Request:
    """What a dequeue asks for; `lease` in seconds."""

    queues: Sequence[str]
    limit: int
    lease: float


@dataclass(frozen=True, slots=True)
class Claim:
    """What was taken, and the seconds until there is more, None if nothing is to come."""

    deliveries: list[Delivery]
    soonest: float | None = None


class Fetch:
    """One dequeue."""

    def __init__(self, session: Session, request: Request) -> None:
        self._session = session
        self._request = request

    async def run(self, wait: float) -> list[Delivery]:
        """Take messages, or nothing after `wait` seconds."""
        if wait <= 0:
            return (await self._claim()).deliveries
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        with self._session.waiters.waiting(self._request.queues) as waiter:
            while True:
                waiter.clear()
                claim = await self._claim()
                if claim.deliveries:
                    return claim.deliveries
                pause = self._pause(claim.soonest)
                await waiter.wait(min(pause, deadline - loop.time()))
                if loop.time() >= deadline:
                    return []

    def _pause(self, soonest: float | None) -> float:
        longest = self._session.listen() * random.uniform(0.8, 1.2)
        if soonest is None or soonest > longest:
            return longest
        return max(soonest, random.uniform(*CROWDED))

    async def _claim(self) -> Claim:
        return await self._session.shield.run(self._take(), self._give_back)

    async def _take(self) -> Claim:
        token = secrets.randbits(63)
        request = self._request
        rows = await self._session.rows(CLAIM, request.queues, request.limit, request.lease, token)
        if rows and rows[0][1] is None:
            return Claim([], rows[0][5])
        return Claim(delivered(rows, token))

    async def _give_back(self, claim: Claim) -> None:
        taken = by_lock_order(claim.deliveries)
        if taken:
            many = len(taken)
            arguments = (*held(taken), ["release"] * many, [0.0] * many, [""] * many)
            news = [(one.queue, 0.0) for one in taken]
            await self._session.store(news, SETTLE, *arguments)
