"""The worker: fetches messages, holds them while they run, and settles their outcomes."""

from asynctasq.core.worker.worker import Worker, WorkerStatus

__all__ = ["Worker", "WorkerStatus"]
