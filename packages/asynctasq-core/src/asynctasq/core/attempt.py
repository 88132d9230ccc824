"""One attempt at one message, from its delivery to its outcome."""

import asyncio
import enum
import time
from dataclasses import dataclass, field

from asynctasq.drivers.base_driver import Delivery
from asynctasq.serialization.envelope import Envelope
from asynctasq.tasks.context import TaskContext
from asynctasq.tasks.definition import Runnable, TaskDefinition

#: Seconds a cancelled task has to clean up.
CANCEL_PATIENCE = 2.0


class Stop(enum.Enum):
    """Why the worker cancels an attempt."""

    LEASE_LOST = "lease lost"
    SHUTDOWN = "shutdown"


@dataclass(slots=True, eq=False)
class Attempt:
    """What the engine knows of a delivery while it holds it.

    Attributes:
        task: runs it; None once it has an outcome.
        started: when it began to be prepared, by `time.perf_counter`.
        begun: the user's code has started.
        begun_at: when that was, by the same clock: later, if it waited for a process.
        stop: why it was cancelled, if the worker did it.
        error: what its task raised; kept for a trace, until that has it.
    """

    delivery: Delivery
    worker_id: str
    task: asyncio.Task[None] | None = None
    started: float = 0.0
    begun: bool = False
    begun_at: float = 0.0
    stop: Stop | None = None
    call: "Call | None" = field(default=None)
    error: BaseException | None = None

    @property
    def duration(self) -> float:
        """Seconds since the user's code started; 0 if it has not."""
        return time.perf_counter() - self.begun_at if self.begun else 0.0

    def cancel(self, stop: Stop) -> None:
        """Stop the attempt, if it is still running; once, so that it can clean up."""
        if self.stop is None and self.task is not None and not self.task.done():
            self.stop = stop
            self.task.cancel()

    def interrupted_by(self, error: BaseException) -> bool:
        """Whether it was stopped from outside, and `error` is what came of that."""
        if self.stop is not None or isinstance(error, GeneratorExit):
            return True
        # a task may raise CancelledError all by itself; who cancels one is counted
        return (
            isinstance(error, asyncio.CancelledError)
            and self.task is not None
            and self.task.cancelling() > 0
        )

    @property
    def name(self) -> str:
        """The task's name, for people."""
        return self.call.envelope.task if self.call else "(unreadable)"

    @property
    def correlation_id(self) -> str | None:
        """What joins the call to the request or task that dispatched it."""
        return self.call.envelope.correlation_id if self.call else None

    def context(self) -> TaskContext:
        """What the running task may know."""
        assert self.call is not None
        envelope = self.call.envelope
        return TaskContext(
            id=self.delivery.id,
            name=self.call.definition.name,
            attempt=self.delivery.attempt,
            max_attempts=self.call.max_attempts,
            queue=self.delivery.queue,
            worker_id=self.worker_id,
            enqueued_at=envelope.enqueued_at,
            correlation_id=self.correlation_id,
        )


@dataclass(slots=True, eq=False)
class Call:
    """A message that was understood.

    Attributes:
        max_attempts: deliveries before it is dead.
        runnable: the task with its arguments; None until they were found to fit.
        timeout: seconds the attempt may take.
    """

    envelope: Envelope
    definition: TaskDefinition
    max_attempts: int
    timeout: float | None
    runnable: Runnable | None = None
