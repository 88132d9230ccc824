"""Extends the leases of all messages a worker holds, every third of a lease.

It runs in a thread with an event loop and a connection of its own: a task that blocks the worker's
event loop must not cost the worker's other tasks their leases.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from asynctasq.core.execution.cancellation import was_cancelled
from asynctasq.core.worker.broker_health import BrokerHealth
from asynctasq.core.worker.in_flight import InFlight
from asynctasq.drivers.base_driver import BaseDriver, Delivery
from asynctasq.errors import BrokerError, BrokerUnavailable
from asynctasq.utils.backoff import Backoff

logger = logging.getLogger("asynctasq.worker")

#: Seconds for the thread to start, and to end.
START_LIMIT = 10.0
END_LIMIT = 1.0


class LeaseKeeper:
    """Extends the leases of all messages in flight.

    Args:
        driver: its sibling is used in the thread.
        health: records whether the broker answers.
        lease: seconds.
        on_lost: called on the worker's event loop with deliveries whose lease was lost.
    """

    def __init__(
        self,
        driver: BaseDriver,
        in_flight: InFlight,
        health: BrokerHealth,
        *,
        lease: float,
        on_lost: Callable[[Sequence[Delivery]], None],
    ) -> None:
        self._health = health
        self._driver = driver.sibling()
        self._in_flight = in_flight
        self._lease = lease
        self._on_lost = on_lost
        self._has_warned = False
        self._worker_loop = asyncio.get_running_loop()
        self._keeping: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = Future()
        self._thread = threading.Thread(target=self._run, name="asynctasq-leases", daemon=True)

    def start(self) -> None:
        """Starts the thread; raises `BrokerUnavailable` when it cannot start its event loop."""
        try:
            self._thread.start()
            self._keeping.result(START_LIMIT)
        except (OSError, RuntimeError, TimeoutError) as error:
            raise BrokerUnavailable(f"the thread that keeps leases cannot start: {error}") from None

    async def stop(self) -> None:
        """Ends the thread and its connection; the thread is a daemon if it does not end in time."""
        loop, task = self._keeping.result()
        loop.call_soon_threadsafe(task.cancel)
        await asyncio.to_thread(self._thread.join, END_LIMIT)

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._keep())
        except asyncio.CancelledError:  # by `stop`
            pass
        except OSError as error:
            if self._keeping.done():
                raise
            self._keeping.set_exception(error)

    async def _keep(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._keeping.set_result((asyncio.get_running_loop(), task))
        backoff = Backoff(first=self._lease / 30, longest=self._lease / 6)
        try:
            while True:
                await asyncio.sleep(backoff.wait if backoff else self._lease / 3)
                await self._try(backoff)
        finally:
            await self._driver.disconnect()

    async def _try(self, backoff: Backoff) -> None:
        try:
            await self._extend()
        except BrokerError as error:
            # not at the first failure: on an outage a fetch fails before the second
            if backoff and not self._has_warned and not self._health.fetches_fail:
                self._has_warned = True
                logger.warning("leases cannot be extended, trying again: %s", error)
        except (Exception, asyncio.CancelledError) as error:  # a driver's bug must not end leases
            if was_cancelled(error):
                raise
            logger.exception("extending leases failed, trying again")
        else:
            self._health.answered("leases")
            self._has_warned = False
            backoff.reset()
            return
        self._health.failed("leases")
        backoff.fail()

    async def _extend(self) -> None:
        held = self._in_flight.leased()
        if not held:
            return  # an idle worker needs no second connection
        await self._driver.connect()
        lost = await self._driver.extend(held, lease=self._lease)
        if lost:
            self._worker_loop.call_soon_threadsafe(self._on_lost, lost)
