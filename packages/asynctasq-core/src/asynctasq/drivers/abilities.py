"""What only some brokers can do, as small protocols found with ``isinstance``.

Every method may raise `BrokerUnavailable` or `BrokerRejected`, as on the seam, and each protocol
has its own contract class in `asynctasq.testing.contract`.
"""

import enum
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from asynctasq.drivers.base_driver import Message


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
        delayed: deliverable later; None where the broker cannot tell.
        running: held under a lease; None where the broker cannot tell.
        dead: kept with an error.
        oldest: seconds since the oldest ready message became deliverable; None when none is, or
            where the broker cannot tell.
    """

    queue: str
    ready: int
    delayed: int | None
    running: int | None
    dead: int
    oldest: float | None

    @classmethod
    def empty(cls, queue: str) -> "QueueStats":
        """The counts of a queue that holds nothing."""
        return cls(queue, ready=0, delayed=0, running=0, dead=0, oldest=None)

    @property
    def unfinished(self) -> int:
        """Messages that wait or run, of those the broker can count."""
        return self.ready + (self.delayed or 0) + (self.running or 0)


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
    """Look into queues and put dead messages right, by message id.

    `Limits.inspects` tells for which states: a queue of some brokers cannot be looked into
    without taking its messages out.
    """

    async def queues(self) -> Sequence[QueueStats]:
        """Every queue that holds a message, by name.

        - Costs a server that keeps counts nothing per message; a database may count its index.
        - Raises `BrokerRejected` where the broker does not tell which queues there are.
        """
        ...

    async def counts(self, queues: Sequence[str]) -> Sequence[QueueStats]:
        """These queues, in the order asked for, also those that hold nothing."""
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


@runtime_checkable
class Control(Protocol):
    """Hold queues back, and take messages away from whoever holds them."""

    async def pause(self, queue: str) -> bool:
        """Deliver nothing more of `queue`, to any worker, until `resume`; False if it was so.

        - Lasts until `resume`, whoever restarts; the queue need not hold anything.
        - Storing goes on, and so do held messages: they are extended and settled as ever.
        - Other queues of the same `dequeue` are delivered, and none of its callers spins.
        """
        ...

    async def resume(self, queue: str) -> bool:
        """Deliver `queue` again, to a `dequeue` that waits as well; False if it was not paused."""
        ...

    async def paused(self) -> Sequence[str]:
        """The paused queues, by name."""
        ...

    async def revoke(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove held messages for good, and return their ids; others are left alone.

        Whoever holds one is told that the lease is lost when it is next extended or settled.
        """
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


@runtime_checkable
class Migrator(Protocol):
    """Create and upgrade the broker's schema by numbered migrations.

    Its methods are called on a driver that is not connected, and connect for themselves: `connect`
    refuses a schema that is missing or behind with `BrokerRejected`, which says what to run.
    """

    async def pending(self) -> Sequence[str]:
        """Names of the migrations that are not applied yet, in order."""
        ...

    async def migrate(self) -> Sequence[str]:
        """Apply what is pending, one process at a time, and return its names."""
        ...

    def migration_sql(self) -> str:
        """All migrations as SQL, to be read, or run by somebody with the rights to."""
        ...


class Level(enum.Enum):
    """How much a finding matters."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at in the broker.

    Attributes:
        name: what it is, in one or two words.
        value: what was found, for people.
        level: WARNING where workers run, and could run better or safer; PROBLEM where they do not.
        advice: what to do, in one line; empty when nothing is to be done.
    """

    name: str
    value: str
    level: Level = Level.OK
    advice: str = ""

    @classmethod
    def of_paused(cls, queues: Sequence[str]) -> Self:
        """What is to be said of the queues that `Control.pause` holds back."""
        if not queues:
            return cls("paused queues", "none")
        advice = f"nothing of them is delivered until: asynctasq resume {shlex.join(queues)}"
        return cls("paused queues", ", ".join(queues), Level.WARNING, advice)


@runtime_checkable
class Diagnostics(Protocol):
    """Look into the broker for what keeps workers from running well."""

    async def diagnose(self) -> Sequence[Finding]:
        """What was found, in an order that makes sense to people.

        - Works whether the driver is connected or not, and leaves it as it was; what `connect`
          refuses, such as a schema that is behind, is a finding as far as there is an answer.
        - Changes nothing that is stored, and takes no rights that a worker does not need: what
          cannot be read says so in its value.
        - Raises `BrokerUnavailable` and `BrokerRejected` as `BaseDriver.connect` does, where the
          broker lets nobody look.
        """
        ...


@runtime_checkable
class TransactionalEnqueue(Protocol):
    """Store messages in a transaction of the caller's: they come and go with its commit.

    The driver need not be connected. A connection is known by its kind: the driver's own client
    library, other libraries for the same database, and what wraps them, which
    `asynctasq.drivers.caller_connection` looks into. Another one is `BrokerRejected`, which names those that
    are known.
    """

    async def enqueue_on(self, connection: object, messages: "Sequence[Message]") -> None:
        """Store `messages` over `connection`, whether it is asynchronous or not."""
        ...

    def enqueue_on_sync(self, connection: object, messages: "Sequence[Message]") -> None:
        """Store `messages` over a connection of synchronous code, in its thread."""
        ...
