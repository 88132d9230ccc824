"""Sends heartbeats: to the broker's worker registry, if there is one, and as events."""

import asyncio
import logging
import time
from collections.abc import Callable

from asynctasq.core.execution.cancellation import was_cancelled
from asynctasq.drivers.base_driver import BaseDriver
from asynctasq.drivers.capabilities.workers import WorkerInfo, Workers
from asynctasq.errors import BrokerError
from asynctasq.events.records import WorkerEvent, WorkerHeartbeat, WorkerOffline, WorkerOnline
from asynctasq.events.stream import EventStream

logger = logging.getLogger("asynctasq.worker")

#: Missed heartbeats after which the registry forgets a worker.
PATIENCE = 3
#: Seconds that signing off may take; without it, the registry forgets the worker later.
SIGN_OFF_LIMIT = 1.0


class Heartbeat:
    """Sends a heartbeat every `interval` seconds between `start` and `stop`."""

    def __init__(
        self,
        driver: BaseDriver,
        events: EventStream,
        *,
        interval: float,
        info: Callable[[], WorkerInfo],
    ) -> None:
        self._registry = driver if isinstance(driver, Workers) else None
        self._events = events
        self._interval = interval
        self._info = info
        self._task: asyncio.Task[None] | None = None
        self._reported: set[type[BaseException]] = set()
        self._stopping = False

    async def start(self) -> None:
        """Registers the worker, and starts the heartbeats."""
        await self._register()
        self._emit(WorkerOnline)
        self._task = asyncio.create_task(self._run(), name="asynctasq-heartbeat")

    async def stop(self) -> None:
        """Stops the heartbeats, and signs the worker off."""
        self._stopping = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=SIGN_OFF_LIMIT)
        self._emit(WorkerOffline)
        if self._registry is not None:
            await self._sign_off(self._registry)

    async def _run(self) -> None:
        while True:
            try:
                await asyncio.sleep(self._interval)
                await self._register()
                self._emit(WorkerHeartbeat)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - neither a driver's bug nor a task that cancels all tasks makes a living worker look dead
                if self._stopping:
                    return
                if not was_cancelled(error):
                    self._report(error)

    async def _register(self) -> None:
        if self._registry is None:
            return
        try:
            await self._registry.heartbeat(self._info(), ttl=PATIENCE * self._interval)
        except BrokerError as error:  # the fetcher reports an outage
            logger.debug("no heartbeat: %s", error)

    async def _sign_off(self, registry: Workers) -> None:
        try:
            async with asyncio.timeout(SIGN_OFF_LIMIT):
                await registry.forget(self._info().id)
        except (BrokerError, TimeoutError) as error:  # the registry forgets the worker later
            logger.debug("not signed off: %s", error)
        except Exception as error:  # noqa: BLE001 - a driver's bug must not keep the worker from ending in order
            self._report(error)

    def _report(self, error: BaseException) -> None:
        """Logs an error that a driver should not raise, each type once."""
        if type(error) not in self._reported:
            self._reported.add(type(error))
            logger.error("heartbeat failed, trying again", exc_info=error)

    def _emit(self, record: type[WorkerEvent]) -> None:
        self._events.emit(lambda: record(time=time.time(), info=self._info()))
