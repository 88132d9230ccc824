"""The child processes of a worker: started on demand, reused, and ended when idle."""

import asyncio
import itertools
import logging
import multiprocessing
import os
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from asynctasq.core.execution.channel import new_mark
from asynctasq.core.execution.child import Child, ChildDied
from asynctasq.core.execution.process_child import Perform, Setup
from asynctasq.core.execution.threads import TaskThreads
from asynctasq.errors import ConfigError, TaskError, WorkerDied

logger = logging.getLogger("asynctasq.worker")

T = TypeVar("T")

#: Seconds for a new process to be ready for jobs.
START_LIMIT = 60.0
#: Seconds for a thread to notice that its process was killed.
NOTICE_LIMIT = 10.0
#: Starts are frequent when there are more than one for each process, and this, in these seconds.
OFTEN = 1
OFTEN_SECONDS = 60.0


class TooLong(Exception):
    """The child took longer than its limit, and was killed."""


class Session:
    """One job with one child.

    Its methods raise `ChildDied`, or `TooLong` after `limit` seconds. The child is killed when a
    call is cancelled, or takes too long.
    """

    def __init__(self, child: Child, mark: bytes, threads: TaskThreads) -> None:
        self._child = child
        self._mark = mark
        self._threads = threads

    async def ask(self, job: object, limit: float | None) -> Any:
        """Sends the job, and returns the first message about it."""
        return await in_time(
            self._threads, self._child, lambda: self._child.ask(self._mark, job), limit
        )

    async def receive(self, limit: float | None) -> Any:
        """Returns the next message about the job."""
        return await in_time(
            self._threads, self._child, lambda: self._child.receive(self._mark), limit
        )


class Children:
    """A pool of at most `size` busy processes.

    Args:
        size: the number of cores if None.
        perform: called in the child with each job.
        max_jobs: jobs after which a process is replaced.
        idle_limit: seconds after which an idle process is ended; never if None.
        nice: added to the worker's niceness while processes are started frequently.
    """

    def __init__(
        self,
        name: str,
        size: int | None,
        setup: Setup,
        perform: Perform,
        *,
        max_jobs: int | None = None,
        idle_limit: float | None = None,
        nice: int = 0,
    ) -> None:
        _refuse_while_importing()
        self._name = name
        self._slots = asyncio.Semaphore(size or os.cpu_count() or 1)
        self._setup = setup
        self._perform = perform
        self._max_jobs = max_jobs
        self._idle_limit = idle_limit
        self._nice = nice
        self._starts: deque[float] = deque(maxlen=OFTEN + (size or os.cpu_count() or 1))
        self._numbers = itertools.count(1)
        self._all: set[Child] = set()
        self._idle: dict[Child, asyncio.TimerHandle | None] = {}
        self._unclaimed: list[asyncio.Task[Child]] = []  # starts whose callers were cancelled
        self._tasks: set[asyncio.Task[Any]] = set()
        self._threads = TaskThreads()
        self.closed = False

    @asynccontextmanager
    async def session(self) -> AsyncGenerator[Session, None]:
        """Waits for a child and holds it for one job; it is killed if the body raises.

        Raises:
            WorkerDied: the child could not be started.
            TaskError: after `close`.
        """
        async with self._slots:
            child = self._take() or await self._new()
            try:
                yield Session(child, new_mark(next(self._numbers)), self._threads)
            except BaseException:  # killed, and raised again
                child.kill()
                await asyncio.shield(self._own(self._reap(child)))
                raise
            self._put(child)

    async def close(self) -> None:
        """Kills all processes."""
        self.closed = True
        for child in [*self._idle]:
            self._stop_timer(child)
        self._idle.clear()
        for child in [*self._all]:
            child.kill()
            self._own(self._reap(child))
        try:
            async with asyncio.timeout(NOTICE_LIMIT):
                while self._tasks:
                    await asyncio.wait(self._tasks)
        except TimeoutError:
            logger.warning("%s: processes were killed, but have not ended", self._name)
        finally:
            self._threads.close()

    def _take(self) -> Child | None:
        """Returns an idle process that is still usable, or None."""
        while self._idle:
            child = next(reversed(self._idle))
            self._stop_timer(child)
            del self._idle[child]
            if child.is_usable():
                return child
            self._own(self._reap(child))
        return None

    def _put(self, child: Child) -> None:
        if self.closed or child.spent or child.jobs == self._max_jobs:
            self._end(child)
        else:
            self._rest(child)

    def _rest(self, child: Child) -> None:
        timer = None
        if self._idle_limit is not None:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(self._idle_limit, self._end, child)
        self._idle[child] = timer

    def _end(self, child: Child) -> None:
        self._idle.pop(child, None)
        self._own(self._let_end(child))

    def _stop_timer(self, child: Child) -> None:
        timer = self._idle[child]
        if timer is not None:
            timer.cancel()

    async def _new(self) -> Child:
        """Returns a new process; if the caller is cancelled meanwhile, the next caller gets it."""
        starting = self._unclaimed.pop() if self._unclaimed else self._own(self._start())
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            self._unclaimed.append(starting)
            starting.add_done_callback(self._keep)
            raise

    def _keep(self, starting: asyncio.Task[Child]) -> None:
        if starting not in self._unclaimed:  # another caller has it
            return
        self._unclaimed.remove(starting)
        if not starting.cancelled() and starting.exception() is None:
            self._put(starting.result())

    async def _start(self) -> Child:
        if self.closed:
            raise TaskError("the worker has ended its processes")
        nice = self._nice if self._starts_often() else 0
        child = Child(self._name, self._perform, self._setup, nice=nice)
        self._all.add(child)
        try:
            await in_time(self._threads, child, child.start, START_LIMIT)
        except BaseException as error:  # reaped, and raised again
            self._own(self._reap(child))
            if isinstance(error, ChildDied | TooLong):
                raise _not_started(error) from None
            raise
        return child

    def _starts_often(self) -> bool:
        starts, now = self._starts, time.monotonic()
        starts.append(now)
        return len(starts) == starts.maxlen and now - starts[0] < OFTEN_SECONDS

    async def _reap(self, child: Child) -> None:
        await self._threads.run(child.reap)
        self._all.discard(child)

    async def _let_end(self, child: Child) -> None:
        await self._threads.run(child.end)
        self._all.discard(child)

    def _own(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def in_time(
    threads: TaskThreads, child: Child, work: Callable[[], T], limit: float | None
) -> T:
    """Does `work` in a thread; kills `child` if it takes too long, or is cancelled."""
    call = asyncio.create_task(threads.run(work))
    call.add_done_callback(_retrieve_exception)
    try:
        done, _ = await asyncio.wait([call], timeout=limit)
    finally:
        if not call.done():
            child.kill()
            await asyncio.wait([call], timeout=NOTICE_LIMIT)
    if not done:
        raise TooLong
    return call.result()


def _retrieve_exception(call: asyncio.Task[Any]) -> None:
    if not call.cancelled():
        call.exception()  # otherwise asyncio logs it


def _not_started(error: ChildDied | TooLong) -> WorkerDied:
    if isinstance(error, ChildDied):
        return WorkerDied(f"a new process for tasks {error} before it was ready")
    return WorkerDied(
        f"a new process for tasks was killed: it was not ready after {START_LIMIT:g} s; "
        "does an import, or process_pool_initializer, block?"
    )


def _refuse_while_importing() -> None:
    """Raises `ConfigError` in a child that imports a script which starts a worker on import."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise ConfigError(
            "this script starts a worker when a process of that worker imports it; put what "
            'starts the worker under: if __name__ == "__main__":'
        )
