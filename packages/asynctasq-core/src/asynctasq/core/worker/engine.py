"""Wires the parts of a running worker, and starts and ends them in order."""

import asyncio
import logging
import os
import socket
import time
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from asynctasq.config import Config
from asynctasq.core.execution.attempt import CANCEL_PATIENCE, CancelReason
from asynctasq.core.execution.cancellation import first_done
from asynctasq.core.execution.executor import Executor
from asynctasq.core.execution.outcomes import Outcomes
from asynctasq.core.execution.process_child import Setup
from asynctasq.core.execution.process_pool import ProcessPool
from asynctasq.core.execution.quarantine import Quarantine
from asynctasq.core.execution.reader import Reader
from asynctasq.core.execution.runners import Runners
from asynctasq.core.producer.client import client, configure_client
from asynctasq.core.producer.dispatcher import Dispatcher
from asynctasq.core.worker.admission import Admission
from asynctasq.core.worker.broker_health import BrokerHealth
from asynctasq.core.worker.fetcher import Fetcher
from asynctasq.core.worker.heartbeat import Heartbeat
from asynctasq.core.worker.in_flight import InFlight
from asynctasq.core.worker.lease_keeper import LeaseKeeper
from asynctasq.core.worker.plan import Plan
from asynctasq.core.worker.prefetch import Prefetch
from asynctasq.core.worker.settler import Settler
from asynctasq.core.worker.shutdown import Shutdown
from asynctasq.core.worker.starter import Starter
from asynctasq.core.worker.suspects import Suspects
from asynctasq.drivers.base_driver import BaseDriver
from asynctasq.drivers.capabilities.inspector import Inspector
from asynctasq.drivers.capabilities.workers import WorkerInfo
from asynctasq.errors import BrokerUnavailable
from asynctasq.events.stream import EventStream
from asynctasq.serialization.envelope import codec_of
from asynctasq.tasks.call import dispatcher_var

logger = logging.getLogger("asynctasq.worker")

#: Seconds one fetch waits for a message: the longest poll of SQS. The broker ends the wait when a
#: message arrives.
IDLE_WAIT = 20.0
#: The same in burst mode, where an empty queue may end the worker.
BURST_WAIT = 0.2
#: Unsettled outcomes at which no more attempts start; twice the concurrency, if that is more. They
#: are settled in batches, and their tasks run again if the worker dies.
UNSETTLED = 200
#: Seconds for the last outcomes to reach the broker: what is left of the shutdown timeout, within
#: these bounds.
FLUSH_PATIENCE = 10.0
LEAST_FLUSH_PATIENCE = 2.0


class Engine:
    """The parts of one run. Enter it, then call `run`."""

    def __init__(self, driver: BaseDriver, plan: Plan, health: BrokerHealth) -> None:
        config, serializer = plan.config or client.config, plan.serializer or client.serializer
        codec = codec_of(serializer, config.signing_keys)
        initializer = plan.process_pool_initializer
        setup = Setup.of(driver, config, serializer, configure_client, initializer)
        self._driver, self._plan = driver, plan
        self._started = time.monotonic()
        self._flush_until = 0.0
        self._shutdown = Shutdown()
        self._events = events = EventStream(plan.emitters)
        self._dispatcher = Dispatcher(driver, codec, config, events)
        self._heartbeat = Heartbeat(
            driver, events, interval=plan.heartbeat_interval, info=self.info
        )
        self._in_flight = in_flight = _make_table(plan)
        self._prefetch = Prefetch(in_flight, driver.limits, slots=plan.concurrency)
        outcomes = Outcomes(plan.worker_id, events)
        self._settler = Settler(
            driver, in_flight, outcomes, health, refusal_limit=plan.refusal_limit
        )
        self._runners = Runners(
            _make_pool(plan, config, setup), outcomes.started if events else None
        )
        executor = Executor(Reader(plan.registry, codec, config), self._runners, outcomes)
        self._starter = starter = Starter(
            in_flight, self._prefetch, executor, burst=plan.concurrency
        )
        self._quarantine = Quarantine(config.quarantine_processes, setup, registry=plan.registry)
        suspects = Suspects(in_flight, starter, outcomes, self._quarantine, driver.limits)
        admission = Admission(
            in_flight, self._prefetch, starter, suspects, outcomes,
            slots=plan.concurrency, full_fetch=driver.limits.full_fetch,
        )  # fmt: skip
        self._keeper = LeaseKeeper(
            driver, in_flight, health, lease=plan.lease, on_lost=admission.leases_lost
        )
        self._fetcher = Fetcher(
            driver, plan.queues, admission, health,
            lease=plan.lease, refusal_limit=plan.refusal_limit,
            wait=BURST_WAIT if plan.burst else IDLE_WAIT, finished=self._is_finished,
        )  # fmt: skip

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:  # if a step fails or is cancelled, the others end
            stack.push_async_callback(self._runners.close)
            stack.push_async_callback(self._quarantine.close)
            self._keeper.start()
            stack.push_async_callback(self._keeper.stop)
            await stack.enter_async_context(self._events)
            stack.push_async_callback(self._heartbeat.stop)
            await self._heartbeat.start()
            stack.push_async_callback(self._settle_remaining)
            # calls that tasks dispatch go to the same broker
            token = dispatcher_var.set(self._dispatcher)
            stack.callback(dispatcher_var.reset, token)
            stack.push_async_callback(self._dispatcher.flush)
            self._starter.open()
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
        """Fetches and runs until nothing is left or `shutdown` is requested; then drains."""
        self._shutdown = shutdown
        self._in_flight.is_stopping = shutdown.requested.is_set
        async with AsyncExitStack() as stack:  # the next step runs even if one is cancelled
            stack.push_async_callback(self._release_running)
            stack.push_async_exit(self._let_finish)
            fetching = await self._fetch_until(shutdown.requested)
        if fetching.done() and not fetching.cancelled():
            fetching.result()  # raises the fetcher's error

    async def _fetch_until(self, requested: asyncio.Event) -> asyncio.Task[None]:
        """Fetches until nothing is left or shutdown is requested; returns the fetcher's task."""
        while True:
            fetching = asyncio.create_task(self._fetcher.run(), name="asynctasq-fetcher")
            asked = asyncio.create_task(requested.wait())
            goes_on = False
            try:
                await first_done(fetching, asked)
                # an attempt that cancels all tasks of its loop may have cancelled either
                goes_on = not requested.is_set() and (fetching.cancelled() or not fetching.done())
            finally:
                if not goes_on:
                    self._stop_starting()
                await _cancel(fetching, asked)
            if not goes_on:
                return fetching

    def _stop_starting(self) -> None:
        self._in_flight.is_stopping = lambda: True
        self._flush_until = time.monotonic() + self._plan.shutdown_timeout

    async def _let_finish(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Releases what has not started; waits for what runs, unless the worker is cancelled."""
        self._prefetch.close()
        for attempt in self._in_flight.active:
            if not attempt.user_code_started:
                self._in_flight.cancel(attempt, CancelReason.SHUTDOWN)
        if kind is not None:
            return
        ends = [
            asyncio.create_task(wait)
            for wait in (self._shutdown.forced.wait(), self._in_flight.idle())
        ]
        try:
            await asyncio.wait(
                ends, timeout=self._plan.shutdown_timeout, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            await _cancel(*ends)

    async def _release_running(self) -> None:
        """Cancels the attempts that still run, and releases their messages."""
        for attempt in self._in_flight.active:
            self._in_flight.cancel(attempt, CancelReason.SHUTDOWN)
        try:
            async with asyncio.timeout(CANCEL_PATIENCE):
                await self._in_flight.idle()
        except TimeoutError:
            pass
        finally:
            for attempt in self._in_flight.active:
                logger.warning(
                    "task %s ignored its cancellation; message released while it still runs",
                    attempt.name,
                )
                self._in_flight.give_up(attempt)

    async def _settle_remaining(self) -> None:
        left = self._flush_until - time.monotonic()
        if not await self._settler.close(min(FLUSH_PATIENCE, max(LEAST_FLUSH_PATIENCE, left))):
            logger.error("the broker is unavailable: outcomes are lost, their tasks will run again")

    async def _is_finished(self) -> bool:
        if not self._plan.burst or self._in_flight.unended:
            return False
        await self._settler.flush()
        if not isinstance(self._driver, Inspector):  # only this worker's own retries are known
            return not self._settler.awaits_retry
        try:
            stats = await self._driver.counts(self._plan.queues)
        except BrokerUnavailable:
            return False
        if any(queue.delayed is None for queue in stats) and self._settler.awaits_retry:
            return False
        return not any(queue.unfinished for queue in stats)

    def info(self) -> WorkerInfo:
        """Returns the worker's entry in the registry."""
        return WorkerInfo(
            id=self._plan.worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=tuple(self._plan.queues),
            concurrency=self._plan.concurrency,
            running=self._in_flight.running + self._in_flight.suspected,
            done=self._in_flight.done,
            uptime=time.monotonic() - self._started,
        )


async def _cancel(*tasks: asyncio.Task[object]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=CANCEL_PATIENCE)  # a driver may ignore the cancellation


def _make_table(plan: Plan) -> InFlight:
    return InFlight(
        plan.worker_id,
        slots=plan.concurrency,
        budget=plan.max_tasks,
        max_unsettled=max(UNSETTLED, 2 * plan.concurrency),
    )


def _make_pool(plan: Plan, config: Config, setup: Setup) -> ProcessPool:
    return ProcessPool(
        plan.process_pool_size or config.process_pool_size,
        plan.process_pool_max_tasks_per_child or config.process_pool_max_tasks_per_child,
        setup,
    )
