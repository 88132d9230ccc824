"""Dequeues as many messages as there are free slots, from all queues in turn."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from asynctasq.core.execution.cancellation import was_cancelled
from asynctasq.core.worker.admission import Admission
from asynctasq.core.worker.broker_health import FETCHER, BrokerHealth
from asynctasq.drivers.base_driver import BaseDriver, Delivery
from asynctasq.errors import BrokerRejected, BrokerUnavailable, WorkerRefused
from asynctasq.utils.backoff import Backoff

logger = logging.getLogger("asynctasq.worker")


#: Seconds for which the first fetch may wait: until it succeeds, a refusal ends the worker.
FIRST_WAIT = 0.2


class QueueOrder:
    """Decides which queue is served first.

    A pass visits every queue once, in the order given: first listed, first served. When a fetch
    is full before the pass is over, the next fetch continues where it stopped, so that a backlog
    on one queue does not starve another.
    """

    def __init__(self, queues: Sequence[str]) -> None:
        self._queues = list(queues)
        self._next = 0

    def current(self) -> list[str]:
        """Returns the queues in the order for the next fetch."""
        return self._queues[self._next :] + self._queues[: self._next]

    def fetched(self, deliveries: Sequence[Delivery], limit: int) -> None:
        """Records the result of a fetch of `limit` messages."""
        if len(deliveries) < limit:
            self._next = 0  # every queue was visited, and is empty
        else:
            self._next = (self._queues.index(deliveries[-1].queue) + 1) % len(self._queues)


class Fetcher:
    """Dequeues messages until it is cancelled, or no work is left.

    Retries an unavailable broker without a limit. Retries a broker that refuses a worker it has
    served before for `refusal_limit` seconds.

    Args:
        health: records whether the broker answers.
        wait: seconds one fetch may wait for a message.
        finished: awaited when a fetch returned no message; True ends the fetching.
    """

    def __init__(
        self,
        driver: BaseDriver,
        queues: Sequence[str],
        admission: Admission,
        health: BrokerHealth,
        *,
        lease: float,
        wait: float,
        refusal_limit: float,
        finished: Callable[[], Awaitable[bool]],
    ) -> None:
        self._driver = driver
        self._order = QueueOrder(queues)
        self._admission = admission
        self._lease = lease
        self._wait = wait
        self._refusal_limit = refusal_limit
        self._finished = finished
        self._health = health
        self._backoff = Backoff()
        self._was_served = False
        self._refused_since: float | None = None

    async def run(self) -> None:
        """Fetches and admits messages.

        Raises:
            BrokerRejected: the first fetch was refused.
            WorkerRefused: fetches have been refused for longer than the limit.
        """
        while (free := await self._admission.capacity()) > 0:
            limit = min(free, self._driver.limits.dequeue_batch)
            deliveries = await self._fetch(limit)
            self._admission.take(deliveries, limit)
            if not deliveries and not self._backoff and await self._is_finished():
                return

    async def _fetch(self, limit: int) -> Sequence[Delivery]:
        try:
            deliveries = await self._driver.dequeue(
                self._order.current(), limit=limit, lease=self._lease, wait=self._patience()
            )
        except (Exception, asyncio.CancelledError) as error:  # a driver's bug must not end a worker
            if was_cancelled(error):
                raise
            await self._pause(error)
            return ()
        self._answered()
        self._order.fetched(deliveries, limit)
        return deliveries

    def _patience(self) -> float:
        """Returns the seconds that the next fetch may wait; the first ones should end soon."""
        if self._backoff:
            return 0.0
        return self._wait if self._was_served else min(self._wait, FIRST_WAIT)

    async def _is_finished(self) -> bool:
        try:
            return await self._finished()
        except BrokerRejected:
            raise
        except Exception as error:  # noqa: BLE001 - a driver's bug must not end a worker
            await self._pause(error)
            return False

    async def _pause(self, error: BaseException) -> None:
        self._failed(error)
        await asyncio.sleep(self._backoff.next())

    def _answered(self) -> None:
        self._was_served = True
        if self._backoff:
            logger.info("the broker is back")
            self._backoff.reset()
            self._refused_since = None
            self._health.answered(FETCHER)

    def _failed(self, error: BaseException) -> None:
        self._health.failed(FETCHER)
        if isinstance(error, BrokerRejected):
            self._refused(error)
            return
        self._refused_since = None
        if not isinstance(error, BrokerUnavailable):
            logger.error("fetching failed, trying again", exc_info=error)
        elif not self._backoff:
            logger.warning("the broker is unavailable, trying again until it is back: %s", error)

    def _refused(self, error: BrokerRejected) -> None:
        """Records a refusal; raises it at the start, or when it has lasted for too long."""
        if not self._was_served:
            raise error
        now = time.monotonic()
        if self._refused_since is None:
            self._refused_since = now
            logger.error(
                "the broker refuses this worker, trying again for %g s: %s",
                self._refusal_limit, error,
            )  # fmt: skip
        elif now - self._refused_since > self._refusal_limit:
            raise WorkerRefused(
                f"the broker has refused this worker for {self._refusal_limit:g} s: {error}"
            ) from error
