"""Processes for tasks that need a core: spawned, used again, replaced when they die."""

import asyncio
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from asynctasq.core.process_child import Failure, Job, Setup, main
from asynctasq.core.threads import TaskThreads
from asynctasq.errors import TaskTimeout, WorkerDied

# fork copies locks that other threads hold, and the event loop with them
_spawn = multiprocessing.get_context("spawn")


@dataclass(slots=True)
class Child:
    """One process and our end of its pipe."""

    process: SpawnProcess
    pipe: "Connection[Job, Failure | None]"
    jobs: int = 0

    def call(self, job: Job) -> Failure | None:
        """Run a job there; blocks. Raises `EOFError` or `OSError` when the process dies."""
        self.pipe.send(job)
        return self.pipe.recv()

    def end(self, *, kill: bool) -> None:
        """End the process, at once or after the job it has."""
        if kill:
            self.process.kill()
        self.pipe.close()
        self.process.join()


class ProcessPool:
    """At most `size` processes, each replaced after `max_tasks_per_child` jobs.

    A job that is cancelled or times out has its process killed; the others are not touched.
    """

    def __init__(self, size: int | None, max_tasks_per_child: int | None, setup: Setup) -> None:
        self._slots = asyncio.Semaphore(size or os.cpu_count() or 1)
        self._max_jobs = max_tasks_per_child
        self._setup = setup
        self._idle: list[Child] = []
        self._threads = TaskThreads()

    async def run(self, job: Job, timeout: float | None, begun: Callable[[], None]) -> None:
        """Run a job in a process; `begun` is called when it has one.

        Raises:
            TaskTimeout: it took longer than `timeout` seconds; its process was killed.
            WorkerDied: its process died.
            BaseException: what the task raised, with the child's traceback as a note.
        """
        async with self._slots:
            child = self._idle.pop() if self._idle else await self._threads.run(self._start)
            begun()
            failure = await self._call(child, job, timeout)
        if failure is not None:
            failure.exception.add_note(failure.traceback)
            raise failure.exception

    async def close(self) -> None:
        """End all processes that have no job."""
        for child in self._idle:
            await self._threads.run(lambda child=child: child.end(kill=True))
        self._idle.clear()
        self._threads.close()

    async def _call(self, child: Child, job: Job, timeout: float | None) -> Failure | None:
        healthy = False
        try:
            async with asyncio.timeout(timeout):
                failure = await self._threads.run(lambda: child.call(job))
            healthy = True
        except TimeoutError:
            raise TaskTimeout(
                f"it took longer than {timeout:g} s; its process was killed"
            ) from None
        except (EOFError, OSError):
            code = await self._threads.run(lambda: _exit_code(child))
            raise WorkerDied(f"the process that ran the task died (exit code {code})") from None
        finally:
            child.jobs += 1
            if healthy and child.jobs != self._max_jobs:
                self._idle.append(child)
            else:
                self._discard(child, kill=not healthy)
        return failure

    def _discard(self, child: Child, *, kill: bool) -> None:
        if kill:
            child.process.kill()  # at once: the thread that waits for its answer ends with it
        else:
            child.pipe.close()

    def _start(self) -> Child:
        ours, theirs = _spawn.Pipe()
        process = _spawn.Process(
            target=main, args=(theirs, self._setup), name="asynctasq-process", daemon=True
        )
        process.start()
        theirs.close()
        return Child(process, ours)


def _exit_code(child: Child) -> int | None:
    child.process.join(timeout=5)
    return child.process.exitcode
