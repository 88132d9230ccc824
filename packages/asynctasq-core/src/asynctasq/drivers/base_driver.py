"""The seam: what a broker must do for AsyncTasQ, and nothing else.

Rules that hold for every driver:

- **Batches.** Every call takes many; one is a batch of one, an empty batch costs no round trip.
- **One clock of visibility.** A message can be delivered when ``visible_at <= now`` by the
  *broker's* clock. Delay, retry back-off and lease are that one field moved forward. How it is
  stored is the driver's choice. Durations cross the seam, never points in time.
- **The driver waits**, the engine does not poll.
- **No policy.** Attempt limits, back-off and fairness between queues live in the engine.
- **A lost lease is a return value**, not an error.

All calls of one driver are made from one event loop, concurrently. A waiting `dequeue` never
blocks the others. A cancelled call leaves the driver usable. A driver raises only
`BrokerUnavailable` (the same call may succeed later), `BrokerRejected` (it will not) and, from
`enqueue`, `EnqueueFailed`; it reconnects by itself. The promises of each method are tests in
`asynctasq.testing.contract`.
"""

import enum
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from asynctasq.drivers.settings import DriverSettings
from asynctasq.drivers.stored import State


@dataclass(frozen=True, slots=True)
class Message:
    """One call to be stored: opaque `body`, deliverable `delay` seconds from now."""

    id: str
    queue: str
    body: bytes
    delay: float = 0.0


@dataclass(slots=True, unsafe_hash=True)  # frozen, it would take three times as long to make
class Delivery:
    """A message held under a lease; not to be changed.

    Attributes:
        attempt: 1 for the first delivery; counted by the broker when it delivers.
        receipt: the fencing token that `BaseDriver.settle` and `BaseDriver.extend` check;
            its meaning is the driver's own.
        abandoned: the attempt before this one ended without an outcome: its worker died, or lost
            the lease. RETRY and a requeue clear it; RELEASE keeps it, as it keeps the attempt.
            Not always set where `Limits.tells_abandoned` is False.
    """

    id: str
    queue: str
    body: bytes
    attempt: int
    receipt: object
    abandoned: bool = False


class Outcome(enum.Enum):
    """What becomes of a delivered message."""

    DONE = "done"  #: it is removed
    RETRY = "retry"  #: it is delivered again after a delay; the attempt counts
    RELEASE = "release"  #: it is given back after a delay; the attempt does not count
    DEAD = "dead"  #: it is kept with a note and never delivered again


@dataclass(slots=True, unsafe_hash=True)  # not frozen, for the same reason
class Settlement:
    """The outcome of one delivery; `delay` in seconds for RETRY and RELEASE, `note` for DEAD.

    Not to be changed.
    """

    delivery: Delivery
    outcome: Outcome
    delay: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Facts about a broker, and hints for the engine; the defaults describe a capable broker.

    Facts, which the contract suite tests:
        dequeue_batch: most messages one `BaseDriver.dequeue` can return.
        max_body: longest body in bytes.
        max_delay: longest delay in seconds.
        lease_step: leases are rounded up to a multiple of this many seconds.
        durable: what is enqueued survives the death of every process that uses the driver.
        unique_ids: a message whose id is stored already is not stored again.
        reports_lost_leases: `settle` and `extend` return the deliveries that lost their lease.
        release_keeps_attempt: RELEASE takes the attempt back.
        exact_attempts: only a delivery that `dequeue` returned counts as an attempt; otherwise
            also a message that was in a process's buffer when it died.
        tells_abandoned: the broker distinguishes an expired lease from a retry; otherwise
            `Delivery.abandoned` may be False for an abandoned message.
        late_settle: an expired lease is valid until the message is delivered again; otherwise
            it is lost when it expires.
        leases_outlive_connections: a held message stays held until its lease ends, also when
            its holder disconnects or dies; otherwise it is deliverable again at once.
        inspects: states that the `Inspector` capability supports; for other states its methods
            raise `BrokerRejected`, or leave the messages alone.
        exact_counts: `Inspector.queues` is exact at once; otherwise it lags by seconds.

    Hints, which only affect efficiency:
        full_fetch: messages that make one request worth its price; a worker with fewer free
            slots gives its running tasks a moment to free more.
        prefetch: most messages that a worker with a backlog takes before it has free slots; 0
            where giving a message back has a price.
    """

    dequeue_batch: int = 1000
    max_body: int = 16 * 1024 * 1024
    max_delay: float = math.inf
    lease_step: float = 0.001
    durable: bool = True
    unique_ids: bool = True
    reports_lost_leases: bool = True
    release_keeps_attempt: bool = True
    exact_attempts: bool = True
    tells_abandoned: bool = True
    late_settle: bool = True
    leases_outlive_connections: bool = True
    inspects: frozenset[State] = frozenset(State)
    exact_counts: bool = True
    full_fetch: int = 1
    prefetch: int = 500


class BaseDriver(ABC):
    """One broker. See this module's docstring for the rules that every method keeps."""

    settings_type: ClassVar[type[DriverSettings]]
    limits: Limits = Limits()

    def __init__(self, settings: DriverSettings) -> None:
        self.settings = settings

    def sibling(self) -> Self:
        """A second, unconnected driver on the same messages, for another thread's event loop."""
        return type(self)(self.settings)

    @abstractmethod
    async def connect(self) -> None:
        """Connect, or raise at once.

        - Connecting again does nothing.
        - Raises `BrokerUnavailable` within seconds when the broker does not answer,
          `BrokerRejected` when it answers with a refusal (credentials, version).
        """

    @abstractmethod
    async def disconnect(self) -> None:
        """Disconnect from the broker.

        - Settles nothing: held messages stay held until their leases end, where
          `Limits.leases_outlive_connections`.
        - Every task, thread and timer the driver started has ended when it returns.
        - Disconnecting again does nothing; `connect` works afterwards.
        """

    @abstractmethod
    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store `messages`; they are durable when this returns.

        - One round trip for the batch.
        - Messages of one queue become deliverable in the order given, best effort.
        - A message whose id is stored already is left unchanged, where `Limits.unique_ids`.
        - When only a part was stored, raises `EnqueueFailed`, which names both parts.
        """

    @abstractmethod
    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take up to `limit` deliverable messages under a lease of `lease` seconds.

        - Returns as soon as there is one message, maybe fewer than exist.
        - Returns nothing after `wait` seconds; with ``wait=0`` never waits.
        - Takes from `queues` in order: from the second only what the first cannot fill.
        - Counts the attempt here, so that a worker's death counts.
        - After an error, messages already taken are returned, or released with their attempt.
        - While it waits, wakes for a new message and for one that becomes due, also for one
          whose lease expired.
        - When cancelled, messages already taken become deliverable again.
        """

    @abstractmethod
    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes, and return the deliveries whose lease was lost.

        - A lease is lost when the message was delivered again or deleted; for such a delivery
          nothing changes. An expired lease is valid until the next delivery, where
          `Limits.late_settle`.
        - Outcomes may be mixed in one call, and are applied in one round trip.
        - Atomic for each message: at no instant is it neither waiting, held nor dead.
        """

    @abstractmethod
    async def extend(self, deliveries: Sequence[Delivery], *, lease: float) -> Sequence[Delivery]:
        """Make each lease end `lease` seconds from now; return the deliveries that lost theirs."""
