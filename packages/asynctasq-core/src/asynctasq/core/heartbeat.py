"""Says that the worker lives: to the broker's registry, where it has one, and as events."""

import asyncio
import logging
import time
from collections.abc import Callable

from asynctasq.drivers.abilities import WorkerInfo, Workers
from asynctasq.drivers.base_driver import BaseDriver
from asynctasq.errors import BrokerError
from asynctasq.events.records import WorkerEvent, WorkerHeartbeat, WorkerOffline, WorkerOnline
from asynctasq.events.stream import EventStream

logger = logging.getLogger("asynctasq.worker")

#: Heartbeats that may be missed before a worker is forgotten.
PATIENCE = 3


class Heartbeat:
    """Beats every `interval` seconds between `start` and `stop`."""

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

    async def start(self) -> None:
        """Say that the worker is there, and begin to beat."""
        await self._register()
        self._emit(WorkerOnline)
        self._task = asyncio.create_task(self._run(), name="asynctasq-heartbeat")

    async def stop(self) -> None:
        """Say that the worker is gone."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._emit(WorkerOffline)
        if self._registry is not None:
            try:
                await self._registry.forget(self._info().id)
            except BrokerError as error:  # it forgets by itself, only later
                logger.debug("not signed off: %s", error)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            await self._register()
            self._emit(WorkerHeartbeat)

    async def _register(self) -> None:
        if self._registry is None:
            return
        try:
            await self._registry.heartbeat(self._info(), ttl=PATIENCE * self._interval)
        except BrokerError as error:  # tasks are what matters; the fetcher reports an outage
            logger.debug("no heartbeat: %s", error)

    def _emit(self, record: type[WorkerEvent]) -> None:
        self._events.emit(lambda: record(time=time.time(), info=self._info()))
