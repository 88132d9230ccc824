"""The process pool for tasks with ``process=True``: spawned, reused, replaced when they die."""

from collections.abc import Callable

from asynctasq.core.execution.child import ChildDied
from asynctasq.core.execution.children import Children, TooLong
from asynctasq.core.execution.failure import Failure
from asynctasq.core.execution.process_child import Job, Setup, perform
from asynctasq.errors import TaskTimeout, WorkerDied


class ProcessPool:
    """At most `size` processes, each replaced after `max_tasks_per_child` jobs.

    The process of a job that is cancelled or times out is killed; other jobs are not affected.
    """

    def __init__(self, size: int | None, max_tasks_per_child: int | None, setup: Setup) -> None:
        self._children = Children(
            "asynctasq-process", size, setup, perform, max_jobs=max_tasks_per_child
        )

    async def run(self, job: Job, timeout: float | None, begun: Callable[[], None]) -> None:
        """Runs a job in a process; calls `begun` when it has one.

        Raises:
            TaskTimeout: it took longer than `timeout` seconds; its process was killed.
            WorkerDied: its process died, or could not be started.
            BaseException: the task's exception, with the child's traceback as a note.
        """
        failure = await self._outcome(job, timeout, begun)
        if failure is not None:
            raise failure.exception()

    async def close(self) -> None:
        """Ends all processes."""
        await self._children.close()

    async def _outcome(
        self, job: Job, timeout: float | None, begun: Callable[[], None]
    ) -> Failure | None:
        try:
            async with self._children.session() as session:
                begun()
                return await session.ask(job, timeout)
        except TooLong:
            raise TaskTimeout(f"longer than {timeout:g} s; its process was killed") from None
        except ChildDied as death:
            raise WorkerDied(f"the process that ran the task {death}") from None
