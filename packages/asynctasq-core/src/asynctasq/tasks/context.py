"""The context of the running task: its call, its attempt and its worker."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from asynctasq.errors import TaskError


@dataclass(frozen=True, slots=True)
class TaskContext:
    """The running attempt.

    Attributes:
        id: the call's id, the same in every attempt.
        name: the task's name.
        attempt: 1 for the first.
        max_attempts: the last attempt's number.
        queue: the queue the call came from.
        worker_id: the worker that runs it.
        enqueued_at: when it was dispatched, seconds since the epoch by the producer's clock.
        correlation_id: the id of the request or task that dispatched the call.
    """

    id: str
    name: str
    attempt: int
    max_attempts: int
    queue: str
    worker_id: str
    enqueued_at: float
    correlation_id: str | None = None


#: Set around each attempt; a function, because most tasks never use their context.
running_task: ContextVar[Callable[[], TaskContext]] = ContextVar("asynctasq_running_task")


def current_context() -> TaskContext:
    """Return the context of the running task; raise `TaskError` outside of a task."""
    try:
        return running_task.get()()
    except LookupError:
        raise TaskError("no task is running here") from None
