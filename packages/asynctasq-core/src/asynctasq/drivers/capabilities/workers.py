"""The `Workers` capability: a registry of live workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker says about itself; ages in seconds."""

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
    """A registry of live workers that forgets those it does not hear from."""

    async def heartbeat(self, worker: WorkerInfo, *, ttl: float) -> None:
        """Remember `worker` for `ttl` seconds."""
        ...

    async def workers(self) -> Sequence[tuple[WorkerInfo, float]]:
        """The remembered workers by id, each with the seconds since it was heard."""
        ...

    async def forget(self, worker_id: str) -> None:
        """Forget a worker that ended."""
        ...
