"""The messages behind `MemoryDriver`: the seam's promises in their plainest form.

Everything runs under one lock, for microseconds, so drivers on several event loops in several
threads can share a store.
"""

import asyncio
import heapq
import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence, Set

from asynctasq.drivers.base_driver import Delivery, Message, Outcome, Settlement
from asynctasq.drivers.capabilities.workers import WorkerInfo
from asynctasq.drivers.memory_queue import Entry, Queue, is_due, stats_of, stored
from asynctasq.drivers.stored import QueueStats, State, StoredMessage


class MemoryStore:
    """Queues by name, workers, and the events to set at a change."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._queues: defaultdict[str, Queue] = defaultdict(Queue)
        self._order = itertools.count()
        self._receipts = itertools.count(1)
        self._waiters: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._paused: set[str] = set()
        self._workers: dict[str, tuple[WorkerInfo, float, float]] = {}

    def enqueue(self, messages: Sequence[Message]) -> None:
        """Store messages whose ids are not stored yet."""
        with self._lock:
            now = self._clock()
            for message in messages:
                queue = self._queues[message.queue]
                if message.id not in queue.entries:
                    entry = Entry(message, next(self._order), 0.0)
                    queue.entries[message.id] = entry
                    queue.move(entry, now + message.delay)
            self._wake()

    def take(self, queues: Sequence[str], limit: int, lease: float) -> list[Delivery]:
        """Lease up to `limit` messages, in the order of `queues`."""
        with self._lock:
            now = self._clock()
            taken: list[Delivery] = []
            for name in self._running(queues):
                queue = self._queues[name]
                while len(taken) < limit and is_due(queue.next_visible(), now):
                    entry = queue.entries[heapq.heappop(queue.heap)[2]]
                    entry.attempt += 1
                    entry.abandoned |= entry.receipt is not None
                    entry.receipt = next(self._receipts)
                    queue.move(entry, now + lease)
                    message = entry.message
                    taken.append(
                        Delivery(
                            message.id, name, message.body,
                            entry.attempt, entry.receipt, entry.abandoned,
                        )
                    )  # fmt: skip
            return taken

    def settle(self, settlements: Sequence[Settlement]) -> list[Delivery]:
        """Apply outcomes; return the deliveries that lost their lease."""
        with self._lock:
            lost = [item.delivery for item in settlements if not self._settle(item)]
            self._wake()
            return lost

    def extend(self, deliveries: Sequence[Delivery], lease: float) -> list[Delivery]:
        """Extend leases; return the deliveries that lost theirs."""
        with self._lock:
            visible_at = self._clock() + lease
            lost: list[Delivery] = []
            for delivery in deliveries:
                entry = self._held(delivery)
                if entry is None:
                    lost.append(delivery)
                else:
                    self._queues[delivery.queue].move(entry, visible_at)
            self._wake()
            return lost

    def seconds_to_next(self, queues: Sequence[str]) -> float | None:
        """Seconds until a message of `queues` becomes deliverable; None without one."""
        with self._lock:
            moments = [self._queues[name].next_visible() for name in self._running(queues)]
            due = [moment for moment in moments if moment is not None]
            return max(0.0, min(due) - self._clock()) if due else None

    def watch(self, event: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
        """Set `event` on its `loop` at every change, until `unwatch`."""
        with self._lock:
            self._waiters[event] = loop

    def unwatch(self, event: asyncio.Event) -> None:
        """Stop setting `event`."""
        with self._lock:
            self._waiters.pop(event, None)

    # --- Inspector

    def stats(self) -> list[QueueStats]:
        """Counts of every queue that holds a message."""
        with self._lock:
            now = self._clock()
            return [
                stats_of(name, queue, now)
                for name, queue in sorted(self._queues.items())
                if queue.entries
            ]

    def browse(self, queue: str, state: State) -> list[StoredMessage]:
        """All messages of one state, next to be delivered or latest dead first."""
        with self._lock:
            now = self._clock()
            entries = [e for e in self._queues[queue].entries.values() if e.state(now) is state]
            entries.sort(
                key=lambda e: (e.visible_at, e.order) if not e.died_at else (-e.died_at, 0)
            )
            return [stored(entry, now) for entry in entries]

    def find(self, queue: str, ids: Sequence[str]) -> list[StoredMessage]:
        """Those of `ids` that are stored."""
        with self._lock:
            now = self._clock()
            return [stored(entry, now) for entry in self._entries(queue, ids)]

    def requeue(self, queue: str, ids: Sequence[str]) -> list[str]:
        """Make dead messages deliverable, with no attempts counted."""
        with self._lock:
            now = self._clock()
            dead = [entry for entry in self._entries(queue, ids) if entry.died_at is not None]
            for entry in dead:
                entry.died_at, entry.note, entry.attempt = None, "", 0
                self._queues[queue].move(entry, now)
            self._wake()
            return [entry.message.id for entry in dead]

    def delete(self, queue: str, ids: Sequence[str]) -> list[str]:
        """Remove messages that are not held."""
        return self._remove(queue, ids, set(State) - {State.RUNNING})

    # --- Control

    def pause(self, queue: str) -> bool:
        """Pause a queue; False if it was paused."""
        with self._lock:
            changed = queue not in self._paused
            self._paused.add(queue)
            return changed

    def resume(self, queue: str) -> bool:
        """Resume a queue; False if it was not paused."""
        with self._lock:
            changed = queue in self._paused
            self._paused.discard(queue)
            self._wake()
            return changed

    def paused(self) -> list[str]:
        """The paused queues."""
        with self._lock:
            return sorted(self._paused)

    def revoke(self, queue: str, ids: Sequence[str]) -> list[str]:
        """Remove held messages."""
        return self._remove(queue, ids, {State.RUNNING})

    # --- Workers

    def heartbeat(self, worker: WorkerInfo, ttl: float) -> None:
        """Store a worker for `ttl` seconds."""
        with self._lock:
            now = self._clock()
            self._workers[worker.id] = (worker, now, now + ttl)

    def workers(self) -> list[tuple[WorkerInfo, float]]:
        """The workers that have not expired, each with the seconds since its heartbeat."""
        with self._lock:
            now = self._clock()
            self._workers = {k: v for k, v in self._workers.items() if v[2] > now}
            return [(info, now - beat) for _, (info, beat, _) in sorted(self._workers.items())]

    def forget(self, worker_id: str) -> None:
        """Remove a worker."""
        with self._lock:
            self._workers.pop(worker_id, None)

    def _remove(self, queue: str, ids: Sequence[str], states: Set[State]) -> list[str]:
        with self._lock:
            now = self._clock()
            removed = [e for e in self._entries(queue, ids) if e.state(now) in states]
            for entry in removed:
                del self._queues[queue].entries[entry.message.id]
            return [entry.message.id for entry in removed]

    # --- with the lock held

    def _running(self, queues: Sequence[str]) -> list[str]:
        return [name for name in queues if name not in self._paused]

    def _settle(self, settlement: Settlement) -> bool:
        entry = self._held(settlement.delivery)
        if entry is None:
            return False
        queue = self._queues[settlement.delivery.queue]
        entry.receipt = None
        entry.abandoned &= settlement.outcome is Outcome.RELEASE
        match settlement.outcome:
            case Outcome.DONE:
                del queue.entries[entry.message.id]
            case Outcome.DEAD:
                entry.died_at, entry.note = self._clock(), settlement.note
            case Outcome.RETRY:
                queue.move(entry, self._clock() + settlement.delay)
            case Outcome.RELEASE:
                entry.attempt -= 1
                queue.move(entry, self._clock() + settlement.delay)
        return True

    def _held(self, delivery: Delivery) -> Entry | None:
        entry = self._queues[delivery.queue].entries.get(delivery.id)
        return entry if entry and entry.receipt == delivery.receipt else None

    def _entries(self, queue: str, ids: Sequence[str]) -> Iterator[Entry]:
        stored = self._queues[queue].entries
        return (stored[message_id] for message_id in dict.fromkeys(ids) if message_id in stored)

    def _wake(self) -> None:
        for event, loop in list(self._waiters.items()):
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:  # its loop was closed without a disconnect
                del self._waiters[event]
