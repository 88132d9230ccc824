"""Keeps the leases of everything a worker holds.

The rule: what is held is extended every third of its lease, whatever the event loop does. So
this runs in a thread with an event loop and a connection of its own: a task that blocks the
worker's loop must not hand the worker's other tasks to somebody else.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence

from asynctasq.core.backoff import Backoff
from asynctasq.core.vitals import Vitals
from asynctasq.drivers.base_driver import BaseDriver, Delivery
from asynctasq.errors import BrokerError

logger = logging.getLogger("asynctasq.worker")


class LeaseKeeper:
    """Extends the leases of the deliveries given to `hold`, until `drop`.

    Args:
        driver: gives a sibling for the thread.
        lease: seconds.
        on_lost: called on the worker's event loop with deliveries whose lease was lost.
        vitals: is told whether the broker answers.
    """

    def __init__(
        self,
        driver: BaseDriver,
        *,
        lease: float,
        on_lost: Callable[[Sequence[Delivery]], None],
        vitals: Vitals,
    ) -> None:
        self._vitals = vitals
        self._driver = driver.sibling()
        self._lease = lease
        self._on_lost = on_lost
        self._held: dict[tuple[str, str], Delivery] = {}
        self._worker_loop = asyncio.get_running_loop()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="asynctasq-leases", daemon=True)

    def hold(self, delivery: Delivery) -> None:
        """Keep the lease of `delivery`, instead of an earlier one of the same message."""
        self._held[delivery.queue, delivery.id] = delivery

    def drop(self, delivery: Delivery) -> None:
        """Let the lease of `delivery` end by itself."""
        if self._held.get((delivery.queue, delivery.id)) is delivery:
            del self._held[delivery.queue, delivery.id]

    def held(self) -> list[Delivery]:
        """What is held now."""
        return list(self._held.copy().values())  # copied in one step: two threads use it

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        self._ready.wait()

    async def stop(self) -> None:
        """End the thread and its connection."""
        if self._loop is not None and self._stopped is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._keep())

    async def _keep(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._ready.set()
        backoff = Backoff(first=self._lease / 30, longest=self._lease / 6)
        pause = self._lease / 3
        while not await _is_set_within(self._stopped, pause):
            try:
                await self._extend()
                self._vitals.answered("leases")
                backoff.reset()
                pause = self._lease / 3
            except BrokerError as error:
                if not backoff:
                    logger.warning("leases cannot be extended just now: %s", error)
                self._vitals.failed("leases")
                pause = backoff.next()
            except Exception:  # the thread must outlive a bug in a driver: leases depend on it
                logger.exception("extending leases failed")
                pause = backoff.next()
        await self._driver.disconnect()

    async def _extend(self) -> None:
        held = self.held()
        if not held:
            return  # not even a connection for a worker that is idle
        await self._driver.connect()
        lost = await self._driver.extend(held, lease=self._lease)
        if lost:
            self._worker_loop.call_soon_threadsafe(self._on_lost, lost)


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
