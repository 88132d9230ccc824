"""The parts of a running worker, and their order at its start and its end."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from asynctasq.config import Config
from asynctasq.core.ahead import Ahead
from asynctasq.core.attempt import Attempt, Stop
from asynctasq.core.client import client, codec_of
from asynctasq.core.dispatcher import Dispatcher
from asynctasq.core.executor import Executor
from asynctasq.core.fetcher import Fetcher
from asynctasq.core.heartbeat import Heartbeat
from asynctasq.core.lease_keeper import LeaseKeeper
from asynctasq.core.process_child import Setup
from asynctasq.core.process_pool import ProcessPool
from asynctasq.core.runners import Runners
from asynctasq.core.seclusion import CHANCES_IF_INEXACT, Seclusion
from asynctasq.core.settler import Settler
from asynctasq.core.shutdown import Shutdown
from asynctasq.core.slots import Slots
from asynctasq.drivers.abilities import Inspector, WorkerInfo
from asynctasq.drivers.base_driver import BaseDriver, Delivery, Outcome, Settlement
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
#: Outcomes that may wait before nothing more is fetched: so many, or twice as many as tasks run at
#: once. They make batches, and are done again when the worker dies.
UNSETTLED = 200
#: Seconds a cancelled task has to clean up.
CANCEL_PATIENCE = 2.0
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
    shutdown_timeout: float
    lease: float
    burst: bool
    config: Config | None
    emitters: Sequence[EventEmitter]
    registry: TaskRegistry


class Engine:
    """Wires the parts of one run together. Enter it, and `run`."""

    def __init__(self, driver: BaseDriver, plan: Plan) -> None:
        self._driver = driver
        self._plan = plan
        config, serializer = plan.config or client.config, plan.serializer or client.serializer
        self._started = time.monotonic()
        self._shutdown = Shutdown()
        self._ahead = Ahead(
            plan.concurrency,
            exact=driver.limits.exact_attempts,
            give_back=self._release,
        )
        self._slots = Slots(plan.concurrency, plan.max_tasks, self._ahead)
        self._keeper = LeaseKeeper(driver, lease=plan.lease, on_lost=self._leases_lost)
        self._settler = Settler(
            driver, most=max(UNSETTLED, 2 * plan.concurrency), on_settled=self._settled
        )
        self._seclusion = Seclusion(
            self._slots,
            hold=self._hold,
            flush=self._settler.flush,
            chances=1 if driver.limits.exact_attempts else CHANCES_IF_INEXACT,
        )
        self._runners = Runners(_make_pool(plan, Setup.of(driver, config, serializer)))
        self._events = EventStream(plan.emitters)
        self._heartbeat = Heartbeat(
            driver, self._events, interval=plan.heartbeat_interval, info=self._info
        )
        codec = codec_of(config, serializer)
        self._dispatcher = Dispatcher(driver, codec, config)
        self._executor = Executor(
            registry=plan.registry,
            codec=codec,
            config=config,
            runners=self._runners,
            events=self._events,
            seclusion=self._seclusion,
            settle=self._settler.add,
            ended=self._ended,
        )
        self._fetcher = Fetcher(
            driver,
            plan.queues,
            lease=plan.lease,
            wait=BURST_WAIT if plan.burst else IDLE_WAIT,
            capacity=self._capacity,
            take=self._take_all,
            finished=self._is_finished,
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

    def _take_all(self, deliveries: Sequence[Delivery], limit: int) -> None:
        self._ahead.fetched(deliveries, limit)
        for delivery in deliveries:
            self._take(delivery)

    def _take(self, delivery: Delivery) -> None:
        self._keeper.hold(delivery)
        if self._is_mine(delivery):
            return
        if self._ended_or_closed:  # the fetch was under way
            self._release([delivery])
        elif self._slots.free and not self._ahead:
            self._begin(delivery)
        elif self._ahead.takes(delivery):
            self._ahead.put(delivery)
        else:
            self._release([delivery])

    def _begin(self, delivery: Delivery) -> None:
        attempt = Attempt(delivery, self._plan.worker_id)
        self._slots.enter(attempt)
        self._executor.start(attempt)

    def _begin_next(self) -> None:
        """Let begin what was taken ahead, if it may."""
        while (
            self._ahead
            and self._slots.free
            and not self._settler.congested
            and not self._ended_or_closed
        ):
            self._begin(self._ahead.pop())

    @property
    def _ended_or_closed(self) -> bool:
        return self._shutdown.requested.is_set() or self._seclusion.closed

    def _release(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._settler.add(Settlement(delivery, Outcome.RELEASE))
        self._slots.changed()

    async def _hold(self) -> None:
        """Let nothing more begin, for an attempt that wants to be alone."""
        self._ahead.release()
        await self._fetcher.interrupt()
        self._ahead.release()

    def _ended(self, attempt: Attempt) -> None:
        if attempt.begun:
            self._ahead.ended(attempt.started)
        self._slots.leave(attempt)
        self._begin_next()

    def _is_mine(self, delivery: Delivery) -> bool:
        """Whether this worker has the message already, and only its lease had run out.

        So it is after the broker was away, or this process was stopped, for longer than a
        lease: the attempt goes on under the new lease, and does not run twice.
        """
        attempt = self._slots.find(delivery)
        if attempt is None:
            return self._ahead.replace(delivery) or self._settler.settle_again(delivery)
        if attempt.stop is None:
            attempt.delivery = delivery
        else:  # cancelled, and not ended yet: not before it has
            self._settler.add(Settlement(delivery, Outcome.RELEASE, delay=CANCEL_PATIENCE))
        return True

    def _settled(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._keeper.drop(delivery)
        if not self._settler.congested:
            self._begin_next()
            self._slots.changed()

    def _leases_lost(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            if self._ahead.drop(delivery):
                self._keeper.drop(delivery)
            attempt = self._slots.find(delivery)
            # else its outcome is on the way and will be refused, or it has a new lease by now
            if attempt is not None and attempt.delivery == delivery:
                self._keeper.drop(attempt.delivery)
                attempt.cancel(Stop.LEASE_LOST)

    async def _capacity(self) -> int:
        while True:
            room = await self._slots.room(full=self._driver.limits.full_fetch)
            if not room or self._shutdown.requested.is_set():
                return 0
            if self._seclusion.closed:
                room = 0
            elif self._settler.congested:  # but some may be ready for when it is not
                room = min(room, self._ahead.wanted())
            if room:
                return room
            await self._slots.change()

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

    def _info(self) -> WorkerInfo:
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


def _make_pool(plan: Plan, setup: Setup) -> ProcessPool:
    config = setup.config
    return ProcessPool(
        plan.process_pool_size or config.process_pool_size,
        plan.process_pool_max_tasks_per_child or config.process_pool_max_tasks_per_child,
        setup,
    )
