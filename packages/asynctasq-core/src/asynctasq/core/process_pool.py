"""Processes for tasks that need a core: spawned, used again, replaced when they die."""

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from asynctasq.core.process_child import Failure, Job, Setup, main
from asynctasq.core.threads import TaskThreads
from asynctasq.errors import TaskTimeout, WorkerDied

#: Seconds between looks for processes that are just being started.
LOOK_AGAIN = 0.02

# fork copies locks that other threads hold, and the event loop with them
_spawn = multiprocessing.get_context("spawn")


@dataclass(slots=True, eq=False)
class Child:
    """One process and our end of its pipe."""

    process: SpawnProcess
    pipe: "Connection[Job, Failure | None]"
    jobs: int = 0

    def call(self, job: Job) -> Failure | None:
        """Run a job there; blocks. Raises `WorkerDied` when the process does."""
        with self._told_of_its_death():
            self.pipe.send(job)
            return self.pipe.recv()

    def wait_until_ready(self) -> None:
        """Wait until it can take a job; blocks. Raises `WorkerDied`, too."""
        with self._told_of_its_death():
            self.pipe.recv()

    @contextmanager
    def _told_of_its_death(self) -> Generator[None, None, None]:
        try:
            yield
        except (EOFError, OSError):
            self.pipe.close()
            self.process.join()
            raise WorkerDied(
                f"the process that ran the task died (exit code {self.process.exitcode})"
            ) from None


class ProcessPool:
    """At most `size` processes, each replaced after `max_tasks_per_child` jobs.

    A job that is cancelled or times out has its process killed; the others are not touched.
    """

    def __init__(self, size: int | None, max_tasks_per_child: int | None, setup: Setup) -> None:
        self._slots = asyncio.Semaphore(size or os.cpu_count() or 1)
        self._max_jobs = max_tasks_per_child
        self._setup = setup
        self._idle: list[Child] = []
        self._ending: list[Child] = []
        self._starting: list[Child] = []  # changed by other threads, in single steps
        self._starts: set[asyncio.Task[Child]] = set()
        self._threads = TaskThreads()

    async def run(self, job: Job, timeout: float | None, begun: Callable[[], None]) -> None:
        """Run a job in a process; `begun` is called when it has one.

        Raises:
            TaskTimeout: it took longer than `timeout` seconds; its process was killed.
            WorkerDied: its process died.
            BaseException: what the task raised, with the child's traceback as a note.
        """
        async with self._slots:
            child = self._take() or await self._new()
            begun()
            failure = await self._call(child, job, timeout)
            self._put(child)
        if failure is not None:
            raise failure.exception()

    async def close(self) -> None:
        """End all processes."""
        try:
            while self._starts:  # which may only be about to have a process
                await asyncio.wait(self._starts, timeout=LOOK_AGAIN)
                await self._kill(self._starting)
            await self._kill([*self._idle, *self._ending])
        finally:
            self._idle.clear()
            self._ending.clear()
            self._threads.close()

    async def _kill(self, children: Sequence[Child]) -> None:
        for child in tuple(children):
            child.process.kill()
            await self._threads.run(child.process.join)

    async def _new(self) -> Child:
        """A new process; if the caller is cancelled meanwhile, the next one gets it."""
        starting = asyncio.create_task(self._threads.run(self._start))
        self._starts.add(starting)
        starting.add_done_callback(self._starts.discard)
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(self._keep)
            raise

    def _keep(self, started: asyncio.Task[Child]) -> None:
        if not started.cancelled() and started.exception() is None:
            self._idle.append(started.result())

    def _take(self) -> Child | None:
        """An idle process that lives; it may have died since its last job."""
        while self._idle:
            child = self._idle.pop()
            if child.process.is_alive():
                return child
        return None

    def _put(self, child: Child) -> None:
        child.jobs += 1
        if child.jobs != self._max_jobs:
            self._idle.append(child)
            return
        child.pipe.close()  # which ends it
        self._ending = [child, *(other for other in self._ending if other.process.is_alive())]

    async def _call(self, child: Child, job: Job, timeout: float | None) -> Failure | None:
        answer = asyncio.create_task(self._threads.run(lambda: child.call(job)))
        try:
            in_time, _ = await asyncio.wait([answer], timeout=timeout)
        finally:
            if not answer.done():
                child.process.kill()
                await asyncio.wait([answer])
                answer.exception()  # that it died is no news
        if not in_time:
            raise TaskTimeout(f"longer than {timeout:g} s; its process was killed")
        return answer.result()

    def _start(self) -> Child:
        ours, theirs = _spawn.Pipe()
        process = _spawn.Process(
            target=main, args=(theirs, self._setup), name="asynctasq-process", daemon=True
        )
        process.start()
        theirs.close()
        child = Child(process, ours)
        self._starting.append(child)
        try:
            child.wait_until_ready()  # so that no job's timeout pays for that
        finally:
            self._starting.remove(child)
        return child
