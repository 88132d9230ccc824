"""The worker: takes messages from a driver, runs their tasks and settles them.

::

    fetcher ──▶ admission ──▶ starter ──▶ executor ──outcome──▶ settler ──▶ broker
                    │  ▲          ▲                               │
                    ▼  │ readable │ slot                          │ answered
                 suspects         │                               ▼
                     └─────▶ in_flight: every message the worker holds, in one named state
    lease_keeper: every lease/3, extend what is in flight; cancel what was lost
"""

import asyncio
import os
import socket
import uuid
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from asynctasq.config import Config
from asynctasq.core.execution.cancellation import to_its_end
from asynctasq.core.worker.broker_health import BrokerHealth
from asynctasq.core.worker.engine import Engine
from asynctasq.core.worker.plan import Plan
from asynctasq.core.worker.shutdown import Shutdown
from asynctasq.drivers.base_driver import BaseDriver
from asynctasq.drivers.capabilities.inspector import Inspector
from asynctasq.drivers.capabilities.workers import WorkerInfo
from asynctasq.drivers.stored import QueueStats
from asynctasq.errors import ConfigError, TaskError
from asynctasq.events.stream import EventEmitter
from asynctasq.serialization.serializer import BaseSerializer
from asynctasq.tasks.options import check_count, check_number, check_queue
from asynctasq.tasks.registry import TaskRegistry, registry
from asynctasq.utils.loop import survives_exits_of_tasks

#: Seconds that the driver has to disconnect once the worker's task was cancelled.
DISCONNECT_LIMIT = 5.0


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """The state of a running worker.

    Attributes:
        broker_silence: seconds for which calls to the broker have failed; 0 if it answers.
    """

    info: WorkerInfo
    broker_silence: float


class Worker:
    """Runs tasks until it is stopped.

    Args:
        queue_driver: the broker's driver; the worker connects and disconnects it.
        queues: first listed, first served; a pass visits every queue before it starts again.
        concurrency: the number of tasks that run at once.
        max_tasks: the number of tasks after which the worker ends; None to run until stopped.
        serializer: reads messages; by default the one given to `asynctasq.init`, or MessagePack.
        worker_id: made of the host's name and the process id if None.
        heartbeat_interval: seconds between heartbeats, to the broker's registry and as events.
        process_pool_size: processes for tasks with ``process=True``; as configured if None.
        process_pool_max_tasks_per_child: tasks after which a process is replaced.
        process_pool_initializer: called in each new process, for example to configure logging;
            must be picklable.
        shutdown_timeout: seconds that running tasks have to finish when the worker is stopped;
            then they are cancelled and released.
        lease: seconds after which other workers take over the messages of a dead worker. A living
            worker extends its leases, so this does not limit the duration of a task.
        refusal_limit: seconds for which a worker that has been served before retries when the
            broker refuses it, for example while a password is changed.
        burst: end when the queues are empty and nothing is delayed or running.
        handle_signals: stop on SIGTERM and SIGINT, if started on the main thread.
        config: defaults for tasks; by default those of `asynctasq.init`, or the environment's.
        emitters: receive the worker's events; see `asynctasq.events`.
        registry: the tasks that the worker can run.

    Raises:
        ConfigError: an argument is out of range.
    """

    def __init__(
        self,
        queue_driver: BaseDriver,
        queues: Sequence[str] = ("default",),
        concurrency: int = 10,
        max_tasks: int | None = None,
        serializer: BaseSerializer | None = None,
        worker_id: str | None = None,
        heartbeat_interval: float = 60.0,
        process_pool_size: int | None = None,
        process_pool_max_tasks_per_child: int | None = None,
        *,
        process_pool_initializer: Callable[[], None] | None = None,
        shutdown_timeout: float = 25.0,
        lease: float = 30.0,
        refusal_limit: float = 300.0,
        burst: bool = False,
        handle_signals: bool = True,
        config: Config | None = None,
        emitters: Sequence[EventEmitter] = (),
        registry: TaskRegistry = registry,
    ) -> None:
        check_count("max_tasks", max_tasks)
        check_count("concurrency", concurrency)
        check_number("heartbeat_interval", heartbeat_interval, above=0)
        check_count("process_pool_size", process_pool_size)
        check_count("process_pool_max_tasks_per_child", process_pool_max_tasks_per_child)
        check_number("shutdown_timeout", shutdown_timeout, at_least=0)
        check_number("lease", lease, at_least=1)
        check_number("refusal_limit", refusal_limit, at_least=0)
        self._driver = queue_driver
        self._handle_signals = handle_signals
        self._run: _Run | None = None
        self.id = worker_id or _make_id()
        self._plan = Plan(
            worker_id=self.id,
            queues=_checked_queues(queues),
            concurrency=concurrency,
            max_tasks=max_tasks,
            serializer=serializer,
            heartbeat_interval=heartbeat_interval,
            process_pool_size=process_pool_size,
            process_pool_max_tasks_per_child=process_pool_max_tasks_per_child,
            process_pool_initializer=process_pool_initializer,
            shutdown_timeout=shutdown_timeout,
            lease=lease,
            refusal_limit=refusal_limit,
            burst=burst,
            config=config,
            emitters=emitters,
            registry=registry,
        )

    async def start(self) -> None:
        """Runs until stopped, by a signal or `stop`, or until there are no more tasks to run.

        Raises:
            BrokerUnavailable, BrokerRejected: the broker cannot be used at the start; a running
                worker waits for its broker without a limit.
            WorkerRefused: the broker has refused the running worker for `refusal_limit` seconds.
            TaskError: the worker is running already.
        """
        if self._run is not None:
            raise TaskError("this worker runs already")
        self._run = run = _Run()
        try:
            await self._driver.connect()
            # signals are handled until the last outcome is settled
            signals = run.shutdown.on_signals() if self._handle_signals else nullcontext()
            with survives_exits_of_tasks(), signals:
                await to_its_end(self._run_engine(run))
        finally:
            try:
                await to_its_end(self._driver.disconnect(), grace=DISCONNECT_LIMIT)
            finally:
                self._run = None
                run.ended.set()

    async def _run_engine(self, run: "_Run") -> None:
        async with Engine(self._driver, self._plan, run.health) as engine:
            run.engine = engine
            try:
                await engine.run(run.shutdown)
            finally:
                run.engine = None

    def status(self) -> WorkerStatus | None:
        """Returns the current state, or None unless the worker runs; callable from any thread."""
        run = self._run
        if run is None or run.engine is None:
            return None
        return WorkerStatus(run.engine.info(), run.health.silence)

    async def backlog(self) -> Sequence[QueueStats]:
        """Counts the messages of its queues; empty unless it runs on a broker that can count.

        Call it on the worker's event loop. Raises `BrokerUnavailable`.
        """
        if self.status() is None or not isinstance(self._driver, Inspector):
            return ()
        return await self._driver.counts(self._plan.queues)

    async def stop(self) -> None:
        """Stops gracefully, as SIGTERM does, and waits for the end; does nothing if not running.

        A second call does not wait for running tasks any longer. Call it on the worker's event
        loop.
        """
        run = self._run
        if run is not None:
            run.shutdown.request("stop()")
            await run.ended.wait()


class _Run:
    """The state of one run: its shutdown requests, its broker's health, and its end."""

    def __init__(self) -> None:
        self.shutdown = Shutdown()
        self.health = BrokerHealth()
        self.engine: Engine | None = None
        self.ended = asyncio.Event()


def _checked_queues(queues: Sequence[str]) -> tuple[str, ...]:
    if isinstance(queues, str):
        raise ConfigError("queues must be a list of names, not one string")
    for queue in queues:
        check_queue(queue)
    if not queues:
        raise ConfigError("a worker needs at least one queue")
    return tuple(dict.fromkeys(queues))


def _make_id() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
