"""The arguments of a worker."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asynctasq.config import Config
from asynctasq.events.stream import EventEmitter
from asynctasq.serialization.serializer import BaseSerializer
from asynctasq.tasks.registry import TaskRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The validated arguments of `asynctasq.core.worker.Worker`.

    `config` and `serializer` default to those of `asynctasq.init`, which may be called after the
    worker was created.
    """

    worker_id: str
    queues: Sequence[str]
    concurrency: int
    max_tasks: int | None
    serializer: BaseSerializer | None
    heartbeat_interval: float
    process_pool_size: int | None
    process_pool_max_tasks_per_child: int | None
    process_pool_initializer: Callable[[], None] | None
    shutdown_timeout: float
    lease: float
    refusal_limit: float
    burst: bool
    config: Config | None
    emitters: Sequence[EventEmitter]
    registry: TaskRegistry
