"""Records about stored messages and queues, as `Inspector` returns them."""

import enum
from dataclasses import dataclass


class State(enum.Enum):
    """The state of a stored message."""

    READY = "ready"  #: deliverable now; also when its lease expired
    DELAYED = "delayed"  #: deliverable later
    RUNNING = "running"  #: held under a lease
    DEAD = "dead"  #: kept with its error, never delivered again unless requeued


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Counts of one queue.

    Attributes:
        ready: deliverable now, including messages whose lease expired.
        delayed: deliverable later; None where the broker has no such count.
        running: held under a lease; None where the broker has no such count.
        dead: kept with an error.
        oldest: seconds since the oldest ready message became deliverable; None without a ready
            message, or where the broker does not report it.
    """

    queue: str
    ready: int
    delayed: int | None
    running: int | None
    dead: int
    oldest: float | None

    @classmethod
    def empty(cls, queue: str) -> "QueueStats":
        """The counts of an empty queue."""
        return cls(queue, ready=0, delayed=0, running=0, dead=0, oldest=None)

    @property
    def unfinished(self) -> int:
        """Ready, delayed and running messages, as far as the broker counts them."""
        return self.ready + (self.delayed or 0) + (self.running or 0)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as the broker stores it.

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
