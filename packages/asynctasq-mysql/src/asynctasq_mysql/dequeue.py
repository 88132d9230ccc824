"""One dequeue: claims messages that are due, and polls until there are any."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from asynctasq.drivers import Delivery, Outcome, Settlement
from asynctasq_mysql.claim import Claim, Request, claim
from asynctasq_mysql.session import Session
from asynctasq_mysql.settle import settle


class Fetch:
    """One call of `BaseDriver.dequeue`."""

    def __init__(self, session: Session, request: Request) -> None:
        self._session = session
        self._request = request

    async def run(self, wait: float) -> Sequence[Delivery]:
        """Return leased messages, or none after `wait` seconds."""
        session, loop = self._session, asyncio.get_running_loop()
        deadline = loop.time() + wait
        with session.waiters.watch(self._request.queues) as woken:
            while True:
                woken.clear()
                session.check_open()
                claimed = await session.shield.run(self._claim(), self._give_back)
                left = deadline - loop.time()
                session.backlog = len(claimed.deliveries) == self._request.limit
                if claimed.deliveries:
                    session.poll_interval.reset()
                if claimed.deliveries or left <= 0:
                    return claimed.deliveries
                await self._wait(woken, left, claimed.next_due)

    async def _claim(self) -> Claim:
        session = self._session
        return await session.run(
            lambda link: claim(link, session.tables, self._request, backlog=session.backlog)
        )

    async def _give_back(self, claim: Claim) -> None:
        session = self._session
        items = [Settlement(delivery, Outcome.RELEASE) for delivery in claim.deliveries]
        if items:
            await session.run(lambda link: settle(link, session.tables, items))
            session.waiters.wake(self._request.queues)

    async def _wait(self, woken: asyncio.Event, left: float, next_due: float | None) -> None:
        # A message that is due but was not claimed is locked by another worker for a moment.
        seconds = min(self._session.poll_interval.next(), left, next_due or left)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await woken.wait()
