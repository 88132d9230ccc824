"""AsyncTasQ: an async-first distributed task queue.

::

    from asynctasq import run, task

    @task
    async def send_email(to: str) -> None: ...

    async def main() -> None:
        await send_email(to="a@b.c").dispatch()

    run(main())
"""

from asynctasq.config import Config
from asynctasq.core.driver_factory import DriverFactory
from asynctasq.core.producer.client import close, dispatch_many, init
from asynctasq.core.worker import Worker
from asynctasq.errors import (
    AsyncTasQError,
    BrokerError,
    BrokerRejected,
    BrokerUnavailable,
    ConfigError,
    DriverIncompatible,
    DriverNotFound,
    EnqueueFailed,
    InvalidArguments,
    SerializationError,
    SignatureError,
    TaskCancelled,
    TaskError,
    TaskNotFound,
    TaskTimeout,
    UnknownType,
    UnsupportedVersion,
    WorkerDied,
    WorkerRefused,
)
from asynctasq.serialization import BaseSerializer, MsgpackSerializer, TypeHook
from asynctasq.tasks import (
    AsyncProcessTask,
    AsyncTask,
    BaseTask,
    FunctionTask,
    SyncProcessTask,
    SyncTask,
    TaskCall,
    TaskContext,
    TaskHandle,
    current_context,
    task,
)
from asynctasq.utils.loop import run

__all__ = [
    "AsyncProcessTask",
    "AsyncTasQError",
    "AsyncTask",
    "BaseSerializer",
    "BaseTask",
    "BrokerError",
    "BrokerRejected",
    "BrokerUnavailable",
    "Config",
    "ConfigError",
    "DriverFactory",
    "DriverIncompatible",
    "DriverNotFound",
    "EnqueueFailed",
    "FunctionTask",
    "InvalidArguments",
    "MsgpackSerializer",
    "SerializationError",
    "SignatureError",
    "SyncProcessTask",
    "SyncTask",
    "TaskCall",
    "TaskCancelled",
    "TaskContext",
    "TaskError",
    "TaskHandle",
    "TaskNotFound",
    "TaskTimeout",
    "TypeHook",
    "UnknownType",
    "UnsupportedVersion",
    "Worker",
    "WorkerDied",
    "WorkerRefused",
    "close",
    "current_context",
    "dispatch_many",
    "init",
    "run",
    "task",
]
