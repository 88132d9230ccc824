"""One dequeue: take what is due, or look again until there is something."""

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
        """Take messages, or nothing after `wait` seconds."""
        session, loop = self._session, asyncio.get_running_loop()
        deadline = loop.time() + wait
        with session.waiters.watch(self._request.queues) as news:
            while True:
                news.clear()
                session.check_open()
                found = await session.shield.run(self._claim(), self._give_back)
                left = deadline - loop.time()
                session.backlog = len(found.deliveries) == self._request.limit
                if found.deliveries:
                    session.pace.quicken()
                if found.deliveries or left <= 0:
                    return found.deliveries
                await self._wait(news, left, found.soonest)

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

    async def _wait(self, news: asyncio.Event, left: float, soonest: float | None) -> None:
        # What is due and was not taken is in somebody else's hands, for a moment.
        seconds = min(self._session.pace.pause(), left, soonest or left)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await news.wait()
