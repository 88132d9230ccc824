"""The events of producers and workers, and their delivery to emitters."""

from asynctasq.events.emitters import make_emitter
from asynctasq.events.log_emitter import LoggingEmitter
from asynctasq.events.records import (
    AttemptCancelled,
    AttemptEvent,
    Event,
    LeaseLost,
    OutcomesSettled,
    TaskDied,
    TaskEnqueued,
    TaskEvent,
    TaskFailed,
    TaskRetried,
    TaskStarted,
    TaskSucceeded,
    WorkerEvent,
    WorkerHeartbeat,
    WorkerOffline,
    WorkerOnline,
)
from asynctasq.events.stream import ClosingEmitter, EventEmitter, EventStream

__all__ = [
    "AttemptCancelled",
    "AttemptEvent",
    "ClosingEmitter",
    "Event",
    "EventEmitter",
    "EventStream",
    "LeaseLost",
    "LoggingEmitter",
    "OutcomesSettled",
    "TaskDied",
    "TaskEnqueued",
    "TaskEvent",
    "TaskFailed",
    "TaskRetried",
    "TaskStarted",
    "TaskSucceeded",
    "WorkerEvent",
    "WorkerHeartbeat",
    "WorkerOffline",
    "WorkerOnline",
    "make_emitter",
]
