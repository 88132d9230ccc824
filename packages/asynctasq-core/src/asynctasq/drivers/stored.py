"""What a broker tells about stored messages and queues."""

import enum
from dataclasses import dataclass


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
