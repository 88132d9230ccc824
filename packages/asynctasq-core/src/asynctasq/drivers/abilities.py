"""What only some brokers can do, as small protocols found with ``isinstance``.

Every method may raise `BrokerUnavailable` or `BrokerRejected`, as on the seam, and each protocol
has its own contract class in `asynctasq.testing.contract`.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


class State(enum.Enum):
    """Where a stored message is."""

    READY = "ready"
    DELAYED = "delayed"
    RUNNING = "running"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Counts of one queue.

    Attributes:
        ready: deliverable now, messages whose lease ran out included.
        delayed: deliverable later.
        running: held under a lease.
        dead: kept with an error.
        oldest: seconds since the oldest ready message became deliverable, None when none is.
    """

    queue: str
    ready: int
    delayed: int
    running: int
    dead: int
    oldest: float | None


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as it lies in the broker.

    Attributes:
        attempt: deliveries so far.
        seconds: by state, seconds until it is due (delayed), until its lease ends (running),
            since it died (dead), since it became deliverable (ready).
        note: the error of a dead message.
    """

    id: str
    queue: str
    body: bytes
    state: State
    attempt: int
    seconds: float
    note: str = ""


@runtime_checkable
class Inspector(Protocol):
    """Look into queues and put dead messages right, by message id."""

    async def queues(self) -> Sequence[QueueStats]:
        """Every queue that holds a message, by name.

        Costs a broker's server nothing per message; an embedded one may count its index.
        """
        ...

    async def browse(
        self, queue: str, state: State, *, limit: int, offset: int = 0
    ) -> Sequence[StoredMessage]:
        """Up to `limit` messages of one state: next to be delivered, or latest dead, first."""
        ...

    async def find(self, queue: str, ids: Sequence[str]) -> Sequence[StoredMessage]:
        """Those of `ids` that the queue holds, in the order asked for."""
        ...

    async def requeue(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Make dead messages deliverable again with no attempts counted; return their ids.

        Ids that are not dead are left alone.
        """
        ...

    async def delete(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove waiting and dead messages for good; return their ids. Held ones stay."""
        ...

    async def purge(self, queue: str, state: State) -> int:
        """Remove all messages of one state and return how many; RUNNING is `BrokerRejected`."""
        ...


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
