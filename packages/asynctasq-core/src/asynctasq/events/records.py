"""What happened, as frozen records. Times are seconds since the epoch by this machine's clock."""

import re
from dataclasses import dataclass, fields

from asynctasq.drivers.capabilities.workers import WorkerInfo

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened at `time`."""

    time: float

    @property
    def kind(self) -> str:
        """What happened, as one word: ``task_succeeded`` for `TaskSucceeded`."""
        return _WORD.sub("_", type(self).__name__).lower()

    def as_dict(self) -> dict[str, object]:
        """Everything it says, in one flat dict that fits into JSON; what is None is left out.

        ``event`` is its `kind`, and a task's name is called ``task_name``, as it is in logs.
        """
        values: dict[str, object] = {"event": self.kind}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                values["task_name" if field.name == "name" else field.name] = value
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent(Event):
    """Something happened to a call of a task.

    Attributes:
        task_id: the call's id, the same in every attempt.
        correlation_id: what joins it to the request or task that dispatched it.
    """

    task_id: str
    name: str
    queue: str
    correlation_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnqueued(TaskEvent):
    """A call was stored, to be run `delay` seconds from now at the earliest.

    One that was stored in a transaction of yours is told of before your commit.
    """

    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEvent(TaskEvent):
    """Something happened to an attempt in the worker `worker_id`; the first attempt is 1."""

    worker_id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted(AttemptEvent):
    """An attempt began.

    Attributes:
        enqueued_at: when the call was dispatched, by the producer's clock.
    """

    enqueued_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSucceeded(AttemptEvent):
    """An attempt ended well after `duration` seconds."""

    duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailed(AttemptEvent):
    """An attempt ended by an exception after `duration` seconds; what follows is told next."""

    error: str
    duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRetried(AttemptEvent):
    """The call runs again, in `delay` seconds at the earliest."""

    error: str
    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDied(AttemptEvent):
    """The call was given up and lies among the dead."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptCancelled(AttemptEvent):
    """The worker cut an attempt short; it says nothing about the task.

    Attributes:
        reason: ``shutdown`` and ``interrupted`` give the call back, uncounted; after ``lease lost``
            another worker has it, or somebody cancelled it.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseLost(Event):
    """A message is no longer this worker's, so its outcome here changes nothing."""

    worker_id: str
    task_id: str
    queue: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomesSettled(Event):
    """A batch of `count` outcomes reached the broker, in `duration` seconds."""

    worker_id: str
    count: int
    duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEvent(Event):
    """A worker says something about itself."""

    info: WorkerInfo

    def as_dict(self) -> dict[str, object]:
        """As for `Event`; what `info` says is in it, its id as ``worker_id``."""
        about = {field.name: getattr(self.info, field.name) for field in fields(self.info)}
        worker_id = about.pop("id")
        about["queues"] = list(self.info.queues)
        return {"event": self.kind, "time": self.time, "worker_id": worker_id, **about}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOnline(WorkerEvent):
    """A worker began to take tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerHeartbeat(WorkerEvent):
    """A worker is alive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOffline(WorkerEvent):
    """A worker ended."""
