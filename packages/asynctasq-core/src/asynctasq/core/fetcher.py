"""Fetches as many messages as there are free slots, from all queues in turn."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from asynctasq.core.backoff import Backoff
from asynctasq.drivers.base_driver import BaseDriver, Delivery
from asynctasq.errors import BrokerUnavailable

logger = logging.getLogger("asynctasq.worker")


class QueueOrder:
    """Which queue is asked first.

    A pass asks every queue once, in the order given: first listed, first served. When a fetch
    is filled before the pass is over, the next goes on where it stopped, so that a backlog on
    one queue does not starve another.
    """

    def __init__(self, queues: Sequence[str]) -> None:
        self._queues = list(queues)
        self._next = 0

    def current(self) -> list[str]:
        """The queues in the order in which to ask them now."""
        return self._queues[self._next :] + self._queues[: self._next]

    def fetched(self, deliveries: Sequence[Delivery], limit: int) -> None:
        """Take note of what a fetch of `limit` brought."""
        if len(deliveries) < limit:
            self._next = 0  # every queue was asked, and is empty
        else:
            self._next = (self._queues.index(deliveries[-1].queue) + 1) % len(self._queues)


class Fetcher:
    """Asks the driver for messages until it is cancelled, or `finished` says so.

    Args:
        capacity: awaited for how many messages may be taken; 0 ends the fetching.
        take: is given what a fetch brought, and how many it had asked for.
        finished: awaited when a fetch brought nothing; True ends the fetching.
        wait: seconds one fetch may wait for a message.
    """

    def __init__(
        self,
        driver: BaseDriver,
        queues: Sequence[str],
        *,
        lease: float,
        wait: float,
        capacity: Callable[[], Awaitable[int]],
        take: Callable[[Sequence[Delivery], int], None],
        finished: Callable[[], Awaitable[bool]],
    ) -> None:
        self._driver = driver
        self._order = QueueOrder(queues)
        self._lease = lease
        self._wait = wait
        self._capacity = capacity
        self._take = take
        self._finished = finished
        self._backoff = Backoff()
        self._under_way: asyncio.Timeout | None = None
        self._idle = asyncio.Event()

    async def run(self) -> None:
        """Fetch, and hand over what comes."""
        while (free := await self._capacity()) > 0:
            limit = min(free, self._driver.limits.dequeue_batch)
            deliveries = await self._fetch(limit)
            self._take(deliveries, limit)
            if not deliveries and not self._backoff and await self._finished():
                return

    async def interrupt(self) -> None:
        """End the fetch that is under way, if any; what it had taken comes back.

        The next one begins when there is capacity.
        """
        if self._under_way is not None:
            self._under_way.reschedule(asyncio.get_running_loop().time())
            await self._idle.wait()

    async def _fetch(self, limit: int) -> Sequence[Delivery]:
        try:
            deliveries = await self._dequeue(limit)
        except BrokerUnavailable as error:
            if not self._backoff:
                logger.warning("the broker is away, trying again until it is back: %s", error)
            await asyncio.sleep(self._backoff.next())
            return ()
        if self._backoff:
            logger.info("the broker is back")
            self._backoff.reset()
        self._order.fetched(deliveries, limit)
        return deliveries

    async def _dequeue(self, limit: int) -> Sequence[Delivery]:
        self._idle.clear()
        under_way = self._under_way = asyncio.timeout(None)
        try:
            async with under_way:
                return await self._driver.dequeue(
                    self._order.current(), limit=limit, lease=self._lease, wait=self._wait
                )
        except TimeoutError:
            if under_way.expired():  # interrupted
                return ()
            raise
        finally:
            self._under_way = None
            self._idle.set()
