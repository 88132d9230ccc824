"""The `Workers` capability: a registry of live workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker's report about itself; `uptime` in seconds."""

    id: str
    host: str
    pid: int
    queues: tuple[str, ...]
    concurrency: int
    running: int
    done: int
    uptime: float


@runtime_checkable
class Workers(Protocol):
    """A registry of live workers; a worker without heartbeats expires."""

    async def heartbeat(self, worker: WorkerInfo, *, ttl: float) -> None:
        """Store `worker` for `ttl` seconds."""
        ...

    async def workers(self) -> Sequence[tuple[WorkerInfo, float]]:
        """The workers that have not expired, by id, each with the seconds since its heartbeat."""
        ...

    async def forget(self, worker_id: str) -> None:
        """Remove a worker that ended."""
        ...
