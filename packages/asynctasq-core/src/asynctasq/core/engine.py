"""The parts of a running worker, and their order at its start and its end."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from asynctasq.config import Config
from asynctasq.core.ahead import Ahead
from asynctasq.core.attempt import CANCEL_PATIENCE, Stop
from asynctasq.core.client import client, codec_of
from asynctasq.core.dispatcher import Dispatcher
from asynctasq.core.executor import Executor
from asynctasq.core.fetcher import Fetcher
from asynctasq.core.heartbeat import Heartbeat
from asynctasq.core.intake import Intake
from asynctasq.core.lease_keeper import LeaseKeeper
from asynctasq.core.process_child import Setup
from asynctasq.core.process_pool import ProcessPool
from asynctasq.core.runners import Runners
from asynctasq.core.seclusion import CHANCES_IF_INEXACT, Seclusion
from asynctasq.core.settler import Settler
from asynctasq.core.shutdown import Shutdown
from asynctasq.core.slots import Slots
from asynctasq.core.vitals import Vitals
from asynctasq.drivers.abilities import Inspector, WorkerInfo
from asynctasq.drivers.base_driver import BaseDriver, Outcome, Settlement
from asynctasq.errors import BrokerUnavailable
from asynctasq.events.stream import EventEmitter, EventStream
from asynctasq.serialization.serializer import BaseSerializer
from asynctasq.tasks.call import dispatcher_var
from asynctasq.tasks.registry import TaskRegistry

logger = logging.getLogger("asynctasq.worker")

#: Seconds one fetch waits for a message, as long as the longest poll of SQS; the broker ends the
#: wait when there is one.
IDLE_WAIT = 20.0
#: The same in burst mode, where an empty queue is asked about its end.
BURST_WAIT = 0.2
#: Outcomes that may wait before nothing more begins: so many, or twice as many as tasks run at
#: once. They make batches, and are done again when the worker dies.
UNSETTLED = 200
#: Seconds the last outcomes have to reach the broker.
FLUSH_PATIENCE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a worker was told; see `asynctasq.core.worker.Worker`.

    What is None is as `asynctasq.init` says, which may be called after the worker was made.
    """

    worker_id: str
    queues: Sequence[str]
    concurrency: int
    max_tasks: int | None
    serializer: BaseSerializer | None
    heartbeat_interval: float
    process_pool_size: int | None
    process_pool_max_tasks_per_child: int | None
    process_pool_initializer: Callable[[], None] | None
    shutdown_timeout: float
    lease: float
    burst: bool
    config: Config | None
    emitters: Sequence[EventEmitter]
    registry: TaskRegistry


class Engine:
    """Wires the parts of one run together. Enter it, and `run`."""

    def __init__(self, driver: BaseDriver, plan: Plan, vitals: Vitals) -> None:
        self._driver = driver
        self._plan = plan
        config, serializer = plan.config or client.config, plan.serializer or client.serializer
        self._started = time.monotonic()
        self._shutdown = Shutdown()
        self._ahead = Ahead(
            plan.concurrency,
            most=driver.limits.ahead,
            exact=driver.limits.exact_attempts,
            give_back=lambda deliveries: self._intake.release(deliveries),
        )
        self._slots = Slots(plan.concurrency, plan.max_tasks, self._ahead)
        self._events = EventStream(plan.emitters)
        self._keeper = LeaseKeeper(
            driver,
            lease=plan.lease,
            on_lost=lambda lost: self._intake.leases_lost(lost),
            vitals=vitals,
        )
        self._settler = Settler(
            driver,
            worker_id=plan.worker_id,
            most=max(UNSETTLED, 2 * plan.concurrency),
            on_settled=lambda settled: self._intake.settled(settled),
            events=self._events,
            vitals=vitals,
        )
        self._seclusion = Seclusion(
            self._slots,
            hold=self._hold,
            flush=self._settler.flush,
            chances=1 if driver.limits.exact_attempts else CHANCES_IF_INEXACT,
        )
        self._runners = Runners(
            _make_pool(driver, plan, config, serializer),
            on_begin=(lambda attempt: self._executor.begun(attempt)) if self._events else None,
        )
        self._heartbeat = Heartbeat(
            driver, self._events, interval=plan.heartbeat_interval, info=self.info
        )
        codec = codec_of(config, serializer)
        self._dispatcher = Dispatcher(driver, codec, config, self._events)
        self._executor = Executor(
            registry=plan.registry,
            codec=codec,
            config=config,
            runners=self._runners,
            events=self._events,
            seclusion=self._seclusion,
            settle=self._settler.add,
            ended=lambda attempt: self._intake.ended(attempt),
        )
        self._intake = Intake(
            plan.worker_id,
            slots=self._slots,
            ahead=self._ahead,
            keeper=self._keeper,
            settler=self._settler,
            seclusion=self._seclusion,
            start=self._executor.start,
            stopping=lambda: self._shutdown.requested.is_set(),
            events=self._events,
        )
        self._fetcher = Fetcher(
            driver,
            plan.queues,
            lease=plan.lease,
            wait=BURST_WAIT if plan.burst else IDLE_WAIT,
            capacity=partial(self._intake.capacity, full=driver.limits.full_fetch),
            take=self._intake.take,
            finished=self._is_finished,
            vitals=vitals,
        )

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:  # whatever fails or is cancelled, all else ends
            stack.push_async_callback(self._runners.close)
            self._keeper.start()
            stack.push_async_callback(self._keeper.stop)
            await stack.enter_async_context(self._events)
            stack.push_async_callback(self._heartbeat.stop)
            await self._heartbeat.start()
            stack.push_async_callback(self._settle_the_rest)
            # the tasks' own calls go to the same broker
            token = dispatcher_var.set(self._dispatcher)
            stack.callback(dispatcher_var.reset, token)
            stack.push_async_callback(self._dispatcher.flush)
            self._parts = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._parts.__aexit__(kind, error, trace)

    async def run(self, shutdown: Shutdown) -> None:
        """Fetch and run until there is no more to do or `shutdown` is requested; then drain."""
        self._shutdown = shutdown
        fetching = asyncio.create_task(self._fetcher.run(), name="asynctasq-fetcher")
        requested = asyncio.create_task(shutdown.requested.wait())
        async with AsyncExitStack() as stack:  # a step that is cancelled leads to the next
            stack.push_async_callback(self._give_back)
            stack.push_async_exit(self._let_finish)
            stack.push_async_callback(_cancel, fetching, requested)
            await asyncio.wait([fetching, requested], return_when=asyncio.FIRST_COMPLETED)
        if not fetching.cancelled():
            fetching.result()  # raises what ended it

    async def _let_finish(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop what has not begun, and wait for what runs.

        But whoever cancels a worker does not want to wait for it.
        """
        self._ahead.release()
        await asyncio.sleep(0)  # a task that is cancelled before its first step would not notice
        for attempt in self._slots:
            if not attempt.begun:
                attempt.cancel(Stop.SHUTDOWN)
        if kind is not None:
            return
        ends = [
            asyncio.create_task(wait)
            for wait in (self._shutdown.forced.wait(), self._slots.empty())
        ]
        try:
            await asyncio.wait(
                ends, timeout=self._plan.shutdown_timeout, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            await _cancel(*ends)

    async def _give_back(self) -> None:
        """Cancel what still runs, and release it."""
        for attempt in self._slots:
            attempt.cancel(Stop.SHUTDOWN)
        try:
            async with asyncio.timeout(CANCEL_PATIENCE):
                await self._slots.empty()
        except TimeoutError:
            pass
        finally:
            for attempt in self._slots:
                logger.warning("%s does not end; given back while it runs", attempt.name)
                self._settler.add(Settlement(attempt.delivery, Outcome.RELEASE))

    async def _settle_the_rest(self) -> None:
        if not await self._settler.close(FLUSH_PATIENCE):
            logger.error("the broker is away: outcomes are lost, their tasks will run again")

    async def _hold(self) -> None:
        """Let nothing more begin, for an attempt that wants to be alone."""
        self._ahead.release()
        await self._fetcher.interrupt()
        self._ahead.release()

    async def _is_finished(self) -> bool:
        if not self._plan.burst or len(self._slots):
            return False
        await self._settler.flush()
        if not isinstance(self._driver, Inspector):
            return True
        try:
            stats = await self._driver.counts(self._plan.queues)
        except BrokerUnavailable:
            return False
        if any(one.delayed is None for one in stats) and self._settler.awaits_retry:
            return False  # the broker cannot tell, but this worker can
        return not any(one.unfinished for one in stats)

    def info(self) -> WorkerInfo:
        """What the worker says about itself."""
        return WorkerInfo(
            id=self._plan.worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=tuple(self._plan.queues),
            concurrency=self._plan.concurrency,
            running=len(self._slots),
            done=self._slots.done,
            uptime=time.monotonic() - self._started,
        )


async def _cancel(*tasks: asyncio.Task[object]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def _make_pool(
    driver: BaseDriver, plan: Plan, config: Config, serializer: BaseSerializer
) -> ProcessPool:
    return ProcessPool(
        plan.process_pool_size or config.process_pool_size,
        plan.process_pool_max_tasks_per_child or config.process_pool_max_tasks_per_child,
        Setup.of(driver, config, serializer, plan.process_pool_initializer),
    )
