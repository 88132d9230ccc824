"""Events as frozen records. Times are seconds since the epoch by this machine's clock."""

import re
from dataclasses import dataclass, fields

from asynctasq.drivers.capabilities.workers import WorkerInfo

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The base of all events, with the time at which it happened."""

    time: float

    @property
    def kind(self) -> str:
        """The event's name as one word: ``task_succeeded`` for `TaskSucceeded`."""
        return _WORD.sub("_", type(self).__name__).lower()

    def as_dict(self) -> dict[str, object]:
        """Return all fields that are not None, as one flat dict that fits into JSON.

        ``event`` is the `kind`; a task's name has the key ``task_name``, as in logs.
        """
        values: dict[str, object] = {"event": self.kind}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                values["task_name" if field.name == "name" else field.name] = value
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent(Event):
    """An event of one call of a task.

    Attributes:
        task_id: the call's id, the same in every attempt.
        correlation_id: the id of the request or task that dispatched the call.
    """

    task_id: str
    name: str
    queue: str
    correlation_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnqueued(TaskEvent):
    """A call was stored, and runs `delay` seconds from now at the earliest.

    For a call in a transaction of yours, the event is emitted before your commit.
    """

    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEvent(TaskEvent):
    """An event of one attempt in the worker `worker_id`; the first attempt is 1."""

    worker_id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted(AttemptEvent):
    """An attempt started.

    Attributes:
        enqueued_at: when the call was dispatched, by the producer's clock.
    """

    enqueued_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSucceeded(AttemptEvent):
    """An attempt succeeded after `duration` seconds."""

    duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailed(AttemptEvent):
    """An attempt raised after `duration` seconds; `TaskRetried` or `TaskDied` follows."""

    error: str
    duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRetried(AttemptEvent):
    """The call will run again, in `delay` seconds at the earliest."""

    error: str
    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDied(AttemptEvent):
    """The call is dead: its message is kept, and not delivered again."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptCancelled(AttemptEvent):
    """The worker cancelled an attempt that had started; the task itself did not fail.

    Attributes:
        reason: after ``shutdown`` and ``interrupted`` the message is released, and the attempt
            does not count; after ``lease lost`` another worker has the message, or a command
            cancelled it.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseLost(Event):
    """A message is no longer leased to this worker; an outcome from here changes nothing."""

    worker_id: str
    task_id: str
    queue: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomesSettled(Event):
    """The broker stored a batch of `count` outcomes in `duration` seconds."""

    worker_id: str
    count: int
    duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEvent(Event):
    """An event of a worker, with its state in `info`."""

    info: WorkerInfo

    def as_dict(self) -> dict[str, object]:
        """Return the fields as `Event` does, those of `info` included, its id as ``worker_id``."""
        about = {field.name: getattr(self.info, field.name) for field in fields(self.info)}
        worker_id = about.pop("id")
        about["queues"] = list(self.info.queues)
        return {"event": self.kind, "time": self.time, "worker_id": worker_id, **about}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOnline(WorkerEvent):
    """A worker started to take tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerHeartbeat(WorkerEvent):
    """A worker is alive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOffline(WorkerEvent):
    """A worker ended."""
