"""The table of what a worker holds: one record for each message, in one named state.

::

               ┌─────────── redelivered: the new lease replaces the old one ───────────┐
               ▼                                                                       │
    admit ─▶ BUFFERED ──slot──▶ RUNNING ──outcome──▶ FINISHED ──sent──▶ SENT ──answered──▶ gone
               │ ▲                 │                    ▲  ▲              │
               │ └── readable ─┐   │ cancelled          │  └─ no answer ──┘
               │               │   ▼                    │
               │   SUSPECTED ──┴─▶ CANCELLED ──ended────┘
               │                   │
               └── lease lost ─────┴── lease lost and ended ──▶ gone

A message that is delivered again while it has a record had a lease that ran out:

- BUFFERED, SUSPECTED, RUNNING: the record continues under the new lease, and does not run twice.
  The new delivery does not count as a new attempt.
- CANCELLED: the attempt has not ended; the new delivery is released, with a delay.
- FINISHED and never sent: the outcome is sent under the new lease. A RETRY becomes a RELEASE,
  because the new delivery has counted the attempt already.
- SENT, or FINISHED again without an answer: an outcome that ends the message (DONE, DEAD) is sent
  again under the new lease. An outcome after which it is delivered again (RETRY, RELEASE) may have
  been applied, so the delivery is a new attempt, and it runs.

All transitions are methods of `InFlight`, in this one file although it is long; no other code
changes a record's state. They run on the worker's event loop. Another thread may call `leased`.
"""

from collections import deque
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from dataclasses import replace

from asynctasq.core.execution.attempt import CANCEL_PATIENCE, Attempt, CancelReason, State
from asynctasq.core.worker.changes import Changes
from asynctasq.core.worker.refused_outcomes import RefusedOutcomes
from asynctasq.drivers.base_driver import Delivery, Outcome, Settlement

Key = tuple[str, str]

_ACTIVE = (State.RUNNING, State.SUSPECTED, State.CANCELLED)


def _nothing() -> None:
    """Ignores a change."""


def _no() -> bool:
    return False


def _under_new_lease(settlement: Settlement | None, delivery: Delivery) -> Settlement:
    assert settlement is not None
    outcome = settlement.outcome
    again = Outcome.RELEASE if outcome is Outcome.RETRY else outcome
    return replace(settlement, delivery=delivery, outcome=again)


class InFlight:
    """The records, and the only place that changes their states.

    Args:
        worker_id: for the attempts' contexts.
        slots: limit on running attempts.
        budget: limit on attempts in total; those that never run a task do not count. None for no
            limit.
        max_unsettled: outcomes without an answer at which no more attempts start. Their tasks run
            again if the worker dies.

    Attributes:
        running: number of attempts in a slot.
        buffered: number of records that wait for a slot.
        suspected: number of records that need a child process of the quarantine instead of a slot.
        done: number of attempts that ran a task to its end.
        budget: attempts that may still start; None for no limit.
        is_stopping: called before an attempt starts; while it returns True, none starts.
        changes: notified when a record was finished, released or answered.
        on_finished: called when there is an outcome to send.
        on_room: called when an attempt may be able to start.
    """

    def __init__(
        self, worker_id: str, *, slots: int, budget: int | None, max_unsettled: int
    ) -> None:
        self._worker_id = worker_id
        self._slots = slots
        self._max_unsettled = max_unsettled
        self._records: dict[Key, Attempt] = {}
        self._strays: set[Attempt] = set()
        self._buffer: deque[Attempt] = deque()
        self._finished: deque[Attempt] = deque()
        self._sent = 0
        self._refused = RefusedOutcomes()
        self.budget = budget
        self.running = 0
        self.buffered = 0
        self.suspected = 0
        self.done = 0
        self.is_stopping: Callable[[], bool] = _no
        self.changes = Changes()
        self.on_finished: Callable[[], None] = _nothing
        self.on_room: Callable[[], None] = _nothing

    # ---- reading the table

    def __iter__(self) -> Iterator[Attempt]:
        return iter([*self._records.values(), *self._strays])

    def __bool__(self) -> bool:
        return bool(self._records or self._strays)

    @property
    def active(self) -> list[Attempt]:
        """Attempts whose tasks have not ended."""
        return [attempt for attempt in self if attempt.state in _ACTIVE]

    @property
    def unended(self) -> int:
        """Records without an outcome."""
        return self.running + self.suspected + self.buffered

    @property
    def free(self) -> int:
        """Slots that no record occupies or waits for; negative when more records wait."""
        return self._slots - self.running - self.buffered

    @property
    def unsettled(self) -> int:
        """Number of outcomes without an answer."""
        return len(self._finished) + self._sent

    @property
    def over_limit(self) -> bool:
        """Whether too many outcomes are without an answer for more attempts to start."""
        return len(self._finished) + self._sent >= self._max_unsettled

    def first_buffered(self) -> Attempt | None:
        """Returns the record that starts next, or None."""
        buffer = self._buffer
        while buffer and buffer[0].state is not State.BUFFERED:  # released, settled or lost
            buffer.popleft()
        return buffer[0] if buffer else None

    def leased(self) -> list[Delivery]:
        """Returns the deliveries whose leases must be extended; callable from any thread."""
        held = [*self._records.copy().values(), *self._strays.copy()]
        return [
            attempt.delivery
            for attempt in held
            if attempt.cancel_reason is not CancelReason.LEASE_LOST
        ]

    async def idle(self) -> None:
        """Waits until no attempt runs."""
        while self.running or self.suspected:
            await self.changes.wait()

    def changed(self) -> None:
        """Notifies `changes` and `on_room` after a transition."""
        self.changes.notify()
        self.on_room()

    # ---- in

    def admit(self, delivery: Delivery) -> Attempt | None:
        """Creates a BUFFERED record; None when the delivery belongs to a record that exists."""
        key = delivery.queue, delivery.id
        known = self._records.get(key)
        if known is not None:
            return self._redelivered(known, delivery)
        attempt = self._records[key] = Attempt(delivery, self._worker_id)
        if self._refused and (outcome := self._refused.recall(delivery)) is not None:
            self._finish(attempt, replace(outcome, delivery=delivery))
            return None
        self._buffer.append(attempt)
        self.buffered += 1
        return attempt

    def _redelivered(self, attempt: Attempt, delivery: Delivery) -> Attempt | None:
        match attempt.state:
            case State.CANCELLED:  # released: its task has not ended here
                stray = Attempt(delivery, self._worker_id)
                self._strays.add(stray)
                self._finish(stray, Settlement(delivery, Outcome.RELEASE, CANCEL_PATIENCE))
            case State.FINISHED if attempt.ends_message or not attempt.unsure:
                attempt.delivery = delivery
                attempt.settlement = _under_new_lease(attempt.settlement, delivery)
            case State.FINISHED:  # its RETRY or RELEASE may have been applied: a new attempt
                self._finished.remove(attempt)
                self._forget(attempt)
                return self.admit(delivery)
            case State.SENT if not attempt.ends_message:  # the same, and the answer may follow
                del self._records[delivery.queue, delivery.id]
                return self.admit(delivery)
            case _:  # it continues; `answered` and `unanswered` compare the deliveries
                attempt.delivery = delivery
        return None

    # ---- starting

    def start_next(self) -> Attempt | None:
        """BUFFERED to RUNNING, first in, first out; None when no attempt may start."""
        if self.is_stopping() or self.running >= self._slots or self.over_limit:
            return None
        attempt = self.first_buffered()
        if attempt is not None:
            self._buffer.popleft()
            self.buffered -= 1
            attempt.state = State.RUNNING
            attempt.has_slot = True
            self.running += 1
            if self.budget is not None:
                self.budget -= 1
        return attempt

    def suspect(self, attempt: Attempt) -> None:
        """BUFFERED to SUSPECTED: it needs a child process, and no slot."""
        self._leave_buffer(attempt)
        attempt.state = State.SUSPECTED
        self.suspected += 1
        if self.budget is not None:
            self.budget -= 1

    def acquit(self, attempt: Attempt) -> bool:
        """SUSPECTED to BUFFERED: it runs as any other attempt. False when it was cancelled."""
        if attempt.state is not State.SUSPECTED:
            return False
        self._vacate(attempt)
        attempt.state = State.BUFFERED
        self._buffer.append(attempt)
        self.buffered += 1
        self.changed()
        return True

    # ---- finishing

    def release(self, attempts: Iterable[Attempt], delay: float = 0.0) -> None:
        """BUFFERED to FINISHED: released to other workers; the attempts do not count."""
        for attempt in attempts:
            if attempt.state is State.BUFFERED:
                self._leave_buffer(attempt)
                self._finish(attempt, Settlement(attempt.delivery, Outcome.RELEASE, delay))
        self.changed()

    def release_buffer(self) -> None:
        """BUFFERED to FINISHED, all of them."""
        self.release(list(self._buffer))
        self._buffer.clear()

    def settle(self, attempt: Attempt, settlement: Settlement) -> None:
        """BUFFERED to FINISHED: its outcome is known without running it."""
        self._leave_buffer(attempt)
        self._finish(attempt, settlement)
        self.changed()

    def lose(self, delivery: Delivery) -> bool:
        """Handles a lost lease; False when no record depends on it.

        BUFFERED is gone, RUNNING and SUSPECTED become CANCELLED. FINISHED and SENT stay: the
        broker's answer decides.
        """
        attempt = self._records.get((delivery.queue, delivery.id))
        if attempt is None or attempt.delivery != delivery:
            return False
        match attempt.state:
            case State.BUFFERED:
                self._leave_buffer(attempt)
                self._forget(attempt)
                self.changed()
            case State.RUNNING | State.SUSPECTED:
                self.cancel(attempt, CancelReason.LEASE_LOST)
            case State.CANCELLED:
                attempt.cancel_reason = CancelReason.LEASE_LOST
            case _:
                return False
        return True

    def cancel(self, attempt: Attempt, reason: CancelReason) -> None:
        """RUNNING or SUSPECTED to CANCELLED; at most once, so that the task can clean up."""
        if attempt.state in (State.RUNNING, State.SUSPECTED):
            attempt.state = State.CANCELLED
            attempt.cancel(reason)

    def finish(self, attempt: Attempt, settlement: Settlement | None) -> None:
        """RUNNING, SUSPECTED or CANCELLED to FINISHED, or gone without an outcome.

        Does nothing for an attempt that was given up before its task ended.
        """
        if not self._end(attempt):
            return
        if settlement is None:
            self._forget(attempt)
        else:
            self._finish(attempt, settlement)
        self.changed()

    def give_up(self, attempt: Attempt) -> None:
        """CANCELLED to FINISHED while its task still runs: the message is released."""
        if self._end(attempt):
            if attempt.cancel_reason is CancelReason.LEASE_LOST:
                self._forget(attempt)
            else:
                self._finish(attempt, Settlement(attempt.delivery, Outcome.RELEASE))
            self.changed()

    # ---- settling

    @property
    def has_finished(self) -> bool:
        """Whether there is an outcome to send."""
        return bool(self._finished)

    @property
    def finished(self) -> Collection[Attempt]:
        """The FINISHED records."""
        return self._finished

    def send(self, limit: int, held_back: Container[Attempt] | None = None) -> list[Attempt]:
        """FINISHED to SENT: up to `limit` outcomes that are not held back."""
        batch: list[Attempt] = []
        kept: list[Attempt] = []
        finished = self._finished
        while finished and len(batch) < limit:
            attempt = finished.popleft()
            if held_back is not None and attempt in held_back:
                kept.append(attempt)
            else:
                attempt.state = State.SENT
                batch.append(attempt)
        finished.extendleft(reversed(kept))
        self._sent += len(batch)
        return batch

    def answered(
        self, batch: Sequence[Attempt], lost: Sequence[Delivery] = ()
    ) -> list[tuple[Attempt, Delivery]]:
        """SENT to gone; returns the attempts whose lease was `lost` before their outcome arrived.

        A message that was delivered again meanwhile is FINISHED again, under its new lease.
        """
        refused = {(held.queue, held.id): held for held in lost} if lost else {}
        late: list[tuple[Attempt, Delivery]] = []
        for attempt in batch:
            self._sent -= 1
            settlement, attempt.settlement = attempt.settlement, None
            assert settlement is not None
            delivery = settlement.delivery
            if attempt.delivery is not delivery:
                self._finish(attempt, replace(settlement, delivery=attempt.delivery))
                continue
            self._forget(attempt)
            if refused and refused.get((delivery.queue, delivery.id)) == delivery:
                self._refused.remember(settlement)
                late.append((attempt, delivery))
        self.changed()
        return late

    def unanswered(self, batch: Sequence[Attempt]) -> None:
        """SENT to FINISHED, to be sent first: whether the outcome was applied is unknown."""
        self._sent -= len(batch)
        for attempt in reversed(batch):
            settlement = attempt.settlement
            assert settlement is not None
            if not self._holds(attempt):  # a new attempt took its place
                self._forget(attempt)
                continue
            if attempt.delivery is not settlement.delivery:
                attempt.settlement = replace(settlement, delivery=attempt.delivery)
            attempt.unsure = True
            attempt.state = State.FINISHED
            self._finished.appendleft(attempt)

    def drop(self, attempt: Attempt) -> None:
        """SENT to gone: the outcome was refused for too long, so its message runs again."""
        self._sent -= 1
        self._forget(attempt)
        self.changed()

    # ---- steps that transitions share

    def _leave_buffer(self, attempt: Attempt) -> None:
        # it stays in the deque: `first_buffered` skips it, which is faster than a search
        self.buffered -= 1
        attempt.state = State.GONE

    def _end(self, attempt: Attempt) -> bool:
        """Counts an attempt whose task ended; False when it was given up before."""
        if attempt.state not in _ACTIVE:
            return False
        self._vacate(attempt)
        attempt.state = State.GONE
        return True

    def _vacate(self, attempt: Attempt) -> None:
        """Frees the slot, or the place among the suspects."""
        if attempt.has_slot:
            self.running -= 1
        else:
            self.suspected -= 1
        if attempt.user_code_started:
            self.done += 1
        elif self.budget is not None:
            self.budget += 1

    def _finish(self, attempt: Attempt, settlement: Settlement) -> None:
        attempt.settlement = settlement
        attempt.state = State.FINISHED
        self._finished.append(attempt)
        self.on_finished()

    def _holds(self, attempt: Attempt) -> bool:
        key = attempt.delivery.queue, attempt.delivery.id
        return self._records.get(key) is attempt or attempt in self._strays

    def _forget(self, attempt: Attempt) -> None:
        attempt.state, attempt.settlement = State.GONE, None
        key = attempt.delivery.queue, attempt.delivery.id
        if self._records.get(key) is attempt:
            del self._records[key]
        else:
            self._strays.discard(attempt)
