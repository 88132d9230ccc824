"""The record of one attempt, from its delivery to its outcome."""

import asyncio
import enum
import time
from dataclasses import dataclass, field
from typing import Protocol

from asynctasq.drivers.base_driver import Delivery, Outcome, Settlement
from asynctasq.serialization.envelope import Envelope
from asynctasq.tasks.context import TaskContext
from asynctasq.tasks.definition import Runnable, TaskDefinition

#: Seconds for a cancelled task to clean up.
CANCEL_PATIENCE = 2.0

#: The name of an attempt whose message could not be read.
UNREADABLE = "(unreadable)"

_ENDS = (Outcome.DONE, Outcome.DEAD)


class State(enum.Enum):
    """The states of an attempt; `asynctasq.core.worker.in_flight` draws the transitions."""

    BUFFERED = "waits for a slot"
    SUSPECTED = "needs a child process of the quarantine"
    RUNNING = "has a slot"
    CANCELLED = "was cancelled, and has not ended"
    FINISHED = "has an outcome to send"
    SENT = "has an outcome without an answer"
    GONE = "is no longer held"


class Seen(Protocol):
    """The contents of a message that a child process read."""

    @property
    def name(self) -> str:
        """The task's name."""
        ...

    @property
    def correlation_id(self) -> str | None:
        """Identifies the request or task that dispatched the call."""
        ...

    @property
    def enqueued_at(self) -> float:
        """When the call was dispatched: seconds since the epoch, by the producer's clock."""
        ...


class CancelReason(enum.Enum):
    """Why the worker cancels an attempt."""

    LEASE_LOST = "lease lost"
    SHUTDOWN = "shutdown"


@dataclass(slots=True, eq=False)
class Attempt:
    """The record of one delivery while the worker holds its message.

    Attributes:
        delivery: the current delivery; a later one of the same message may replace it.
        number: the number of the attempt, from 1: that of the first delivery. Later deliveries of
            the message to this record are no attempts of their own.
        state: changed only by `asynctasq.core.worker.in_flight.InFlight`.
        buffered_at: when it started to wait for a slot, by the event loop's clock.
        has_slot: whether it occupies a slot, or did until it ended.
        settlement: its outcome, from FINISHED until the broker's answer.
        unsure: whether its outcome was sent by a call without an answer.
        task: the asyncio task that runs it; set by the task's first step.
        prepared_at: when the conversion of its arguments started, by `time.perf_counter`.
        user_code_started: whether the user's code has started.
        started_at: when the user's code started, by the same clock; later than `prepared_at` if it
            waited for a process.
        cancel_reason: why the worker cancelled it; None if it did not.
        call: the call in the message, if this process read it.
        seen: the contents of the message, if a child process read it.
        error: the task's exception; kept for the trace only.
    """

    delivery: Delivery
    worker_id: str
    state: State = State.BUFFERED
    buffered_at: float = 0.0
    has_slot: bool = False
    settlement: Settlement | None = None
    unsure: bool = False
    task: asyncio.Task[None] | None = None
    prepared_at: float = 0.0
    user_code_started: bool = False
    started_at: float = 0.0
    cancel_reason: CancelReason | None = None
    call: "Call | None" = None
    seen: "Seen | None" = None
    error: BaseException | None = None
    number: int = field(init=False)

    def __post_init__(self) -> None:
        self.number = self.delivery.attempt

    @property
    def duration(self) -> float:
        """Seconds since the user's code started; 0 if it has not."""
        return time.perf_counter() - self.started_at if self.user_code_started else 0.0

    @property
    def ends_message(self) -> bool:
        """Whether its outcome removes the message, or makes it dead."""
        return self.settlement is not None and self.settlement.outcome in _ENDS

    def begin(self) -> None:
        """Records that the user's code starts."""
        self.user_code_started = True
        self.started_at = time.perf_counter()

    def cancel(self, reason: CancelReason) -> None:
        """Cancels its task; a task without a first step yet checks `cancel_reason` there."""
        self.cancel_reason = reason
        if self.task is not None:
            self.task.cancel()

    @property
    def name(self) -> str:
        """The task's name, for logs and events."""
        if self.call is not None:
            return self.call.envelope.task
        return UNREADABLE if self.seen is None else self.seen.name

    @property
    def correlation_id(self) -> str | None:
        """Identifies the request or task that dispatched the call."""
        if self.call is not None:
            return self.call.envelope.correlation_id
        return None if self.seen is None else self.seen.correlation_id

    def context(self) -> TaskContext:
        """Returns the context of the running task."""
        assert self.call is not None
        envelope = self.call.envelope
        return TaskContext(
            id=self.delivery.id,
            name=self.call.definition.name,
            attempt=self.number,
            max_attempts=self.call.max_attempts,
            queue=self.delivery.queue,
            worker_id=self.worker_id,
            enqueued_at=envelope.enqueued_at,
            correlation_id=self.correlation_id,
        )


@dataclass(slots=True, eq=False)
class Call:
    """A decoded message with its task.

    Attributes:
        max_attempts: deliveries after which it is dead.
        runnable: the task with its arguments; None until they are converted.
        timeout: limit on the attempt's duration, in seconds.
    """

    envelope: Envelope
    definition: TaskDefinition
    max_attempts: int
    timeout: float | None
    runnable: Runnable | None = None
