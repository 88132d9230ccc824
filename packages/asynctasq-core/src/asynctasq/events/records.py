"""What happened, as frozen records. Times are seconds since the epoch by this machine's clock."""

from dataclasses import dataclass

from asynctasq.drivers.abilities import WorkerInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened at `time` in the worker `worker_id`."""

    time: float
    worker_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent(Event):
    """Something happened to a task."""

    task_id: str
    name: str
    queue: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted(TaskEvent):
    """An attempt began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSucceeded(TaskEvent):
    """An attempt ended well after `duration` seconds."""

    duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRetried(TaskEvent):
    """An attempt failed; the next is due in `delay` seconds."""

    error: str
    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDied(TaskEvent):
    """The call was given up and lies among the dead."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOnline(Event):
    """A worker began to take tasks."""

    info: WorkerInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerHeartbeat(Event):
    """A worker is alive."""

    info: WorkerInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOffline(Event):
    """A worker ended."""

    info: WorkerInfo
