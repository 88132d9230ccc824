"""Tells cancellations of the worker from those of a task, and ends the worker gracefully."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from asynctasq.tasks.context import TaskContext, running_task

logger = logging.getLogger("asynctasq.worker")

T = TypeVar("T")


def was_cancelled(error: BaseException) -> bool:
    """Whether `error` is a cancellation of the running task from outside.

    Any code may raise CancelledError by itself; only `Task.cancel` increments `cancelling()`.
    """
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling() > 0)


async def to_its_end(work: Coroutine[Any, Any, T], *, grace: float = 0.0) -> T:
    """Awaits `work` in a task of its own, which ends before the caller does.

    When the caller is cancelled, the task is cancelled `grace` seconds later, and only once. A
    cancel scope of anyio cancels at every await, and would interrupt each step of a graceful
    shutdown.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.Task(work, loop=loop, name="asynctasq-worker")
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await first_done(task)
        except asyncio.CancelledError as error:
            if cancelled is None:
                loop.call_later(grace, task.cancel)
            cancelled = error
    if cancelled is not None and (task.cancelled() or task.exception() is None):
        raise cancelled
    return task.result()


async def first_done(*tasks: "asyncio.Task[Any]") -> None:
    """Waits until one of the tasks is done; an attempt of the worker cannot cancel the wait.

    A user's task may cancel all tasks of its event loop, including those of its worker.
    """
    waiter = _Waiter(asyncio.current_task())

    def wake(_: object) -> None:
        if not waiter.done():
            waiter.set_result(None)

    for task in tasks:
        task.add_done_callback(wake)
    try:
        await waiter
    finally:
        for task in tasks:
            task.remove_done_callback(wake)


class _Waiter(asyncio.Future[None]):
    """A future that an attempt cannot cancel."""

    def __init__(self, owner: "asyncio.Task[Any] | None") -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self._owner = owner
        self._outside = running_task.get(None)  # set if a user's task runs this worker

    def cancel(self, msg: Any = None) -> bool:
        """Cancels the wait, unless an attempt calls it."""
        attempt = running_task.get(None)
        if attempt is None or attempt is self._outside:
            return super().cancel(msg)
        _refuse(attempt)
        if self._owner is not None:
            self._owner.uncancel()
        return True


def _refuse(attempt: Callable[[], TaskContext]) -> None:
    context = attempt()
    logger.warning(
        "%s id=%s tried to cancel its worker, which goes on; to end it, call Worker.stop()",
        context.name, context.id,
    )  # fmt: skip
