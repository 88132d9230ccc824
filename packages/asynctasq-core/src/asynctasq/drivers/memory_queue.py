"""One queue of `MemoryDriver`: its messages, and when they become deliverable."""

import heapq
from dataclasses import dataclass, field

from asynctasq.drivers.base_driver import Message
from asynctasq.drivers.stored import QueueStats, State, StoredMessage


@dataclass(slots=True)
class Entry:
    """A stored message; it is held while it has a receipt, dead when it has a `died_at`."""

    message: Message
    order: int
    visible_at: float
    attempt: int = 0
    receipt: int | None = None
    abandoned: bool = False
    died_at: float | None = None
    note: str = ""

    def state(self, now: float) -> State:
        """The state of the message at `now`."""
        if self.died_at is not None:
            return State.DEAD
        if self.visible_at <= now:
            return State.READY
        return State.DELAYED if self.receipt is None else State.RUNNING


@dataclass(slots=True)
class Queue:
    """Entries by id, and a heap of the moments at which they become deliverable."""

    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])
    heap: list[tuple[float, int, str]] = field(default_factory=list[tuple[float, int, str]])

    def move(self, entry: Entry, visible_at: float) -> None:
        """Make `entry` deliverable from `visible_at` on."""
        entry.visible_at = visible_at
        heapq.heappush(self.heap, (visible_at, entry.order, entry.message.id))

    def next_visible(self) -> float | None:
        """The time at which the next message becomes deliverable; None without one."""
        while self.heap:
            visible_at, _, message_id = self.heap[0]
            entry = self.entries.get(message_id)
            if entry and entry.visible_at == visible_at and entry.died_at is None:
                return visible_at
            heapq.heappop(self.heap)  # stale: moved, dead or removed since it was pushed
        return None


def is_due(moment: float | None, now: float) -> bool:
    """Whether `moment` has come."""
    return moment is not None and moment <= now


def stats_of(name: str, queue: Queue, now: float) -> QueueStats:
    """The counts of a queue."""
    states = [entry.state(now) for entry in queue.entries.values()]
    ready = [e.visible_at for e in queue.entries.values() if e.state(now) is State.READY]
    return QueueStats(
        name,
        ready=len(ready),
        delayed=states.count(State.DELAYED),
        running=states.count(State.RUNNING),
        dead=states.count(State.DEAD),
        oldest=now - min(ready) if ready else None,
    )


def stored(entry: Entry, now: float) -> StoredMessage:
    """What `Inspector` shows of an entry."""
    message = entry.message
    since = entry.visible_at if entry.died_at is None else entry.died_at
    state = entry.state(now)
    seconds = abs(since - now)
    return StoredMessage(
        message.id, message.queue, message.body, state, entry.attempt, seconds, entry.note
    )
