"""Tasks and their calls, as users write them."""

from asynctasq.tasks.call import TaskCall, TaskHandle
from asynctasq.tasks.class_task import (
    AsyncProcessTask,
    AsyncTask,
    BaseTask,
    SyncProcessTask,
    SyncTask,
)
from asynctasq.tasks.context import TaskContext, current_context
from asynctasq.tasks.function_task import FunctionTask, task

__all__ = [
    "AsyncProcessTask",
    "AsyncTask",
    "BaseTask",
    "FunctionTask",
    "SyncProcessTask",
    "SyncTask",
    "TaskCall",
    "TaskContext",
    "TaskHandle",
    "current_context",
    "task",
]
