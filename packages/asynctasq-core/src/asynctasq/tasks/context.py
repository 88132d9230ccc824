"""What a running task may ask about itself."""

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
        correlation_id: what joins it to the request or task that dispatched it.
    """

    id: str
    name: str
    attempt: int
    max_attempts: int
    queue: str
    worker_id: str
    enqueued_at: float
    correlation_id: str | None = None


#: Set by whoever runs tasks; a function, because most tasks never ask.
running_task: ContextVar[Callable[[], TaskContext]] = ContextVar("asynctasq_running_task")


def current_context() -> TaskContext:
    """The context of the task this code runs in; raises `TaskError` outside of one."""
    try:
        return running_task.get()()
    except LookupError:
        raise TaskError("no task is running here") from None
