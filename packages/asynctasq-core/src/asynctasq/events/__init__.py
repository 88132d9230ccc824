"""What happened, as frozen records, and how they reach those who listen."""

from asynctasq.events.records import (
    Event,
    TaskDied,
    TaskEvent,
    TaskRetried,
    TaskStarted,
    TaskSucceeded,
    WorkerHeartbeat,
    WorkerOffline,
    WorkerOnline,
)
from asynctasq.events.stream import EventEmitter, EventStream

__all__ = [
    "Event",
    "EventEmitter",
    "EventStream",
    "TaskDied",
    "TaskEvent",
    "TaskRetried",
    "TaskStarted",
    "TaskSucceeded",
    "WorkerHeartbeat",
    "WorkerOffline",
    "WorkerOnline",
]
