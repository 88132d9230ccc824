"""Leases: the deliveries held by this process, and when their leases end.

AMQP has no leases: a message is held for as long as its channel is open. So the driver that took
a message keeps the lease, and gives the message back when it ends. Receipts live in the process:
any driver in it can extend and settle by them.
"""

from __future__ import annotations

import asyncio
import enum
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from asynctasq.drivers import Delivery, Settlement
from asynctasq_rabbitmq.subscriptions import Subscription

#: Longest timer in seconds.
LONGEST_TIMER = 3600.0
#: Seconds by which leases are prolonged after the process was stopped, or their channel ended:
#: time to extend them, or for the broker to deliver the message to this process again.
GRACE = 5.0
#: A timer that is late by more seconds than this means that the process was stopped.
STOPPED = 1.0


class State(enum.Enum):
    """The state of a held delivery; only HELD and ORPHANED ones can be settled."""

    BUFFERED = "buffered"  #: no dequeue has taken it yet
    HELD = "held"  #: a dequeue has taken it, and its lease runs
    SETTLED = "settled"  #: its outcome is applied, or on its way
    APPLIED = "applied"  #: its outcome is applied, but the call failed for other deliveries
    ORPHANED = "orphaned"  #: its channel ended, so the broker delivers it again, to any consumer
    LOST = "lost"  #: its lease ran out


class Owner(Protocol):
    """The session that settles a delivery; callable from any thread's event loop."""

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes, and return the deliveries whose lease was lost."""
        ...

    def extend(self, held: HeldDelivery, seconds: float) -> bool:
        """Extend a lease to `seconds` from now; False if it is lost."""
        ...


class Holder(Protocol):
    """The consumer whose channel holds a delivery: the part of `Consumer` that settling uses."""

    queue: str
    owner: Owner

    def holds(self, held: HeldDelivery) -> bool:
        """Whether the message is still unacknowledged."""
        ...

    def untake(self, deliveries: Sequence[HeldDelivery]) -> None:
        """Put taken messages back into the buffer."""
        ...

    def withdraw(self, held: HeldDelivery) -> bool:
        """Remove a message from the buffer; False if it is not there."""
        ...

    def restore(self, deliveries: Iterable[HeldDelivery]) -> None:
        """Put withdrawn messages back into the buffer."""
        ...

    def done_with(self, held: HeldDelivery, state: State) -> None:
        """End the lease of a message that is being settled."""
        ...

    def hold_again(self, held: HeldDelivery) -> None:
        """Undo `done_with`."""
        ...

    def acknowledge(self, deliveries: Iterable[HeldDelivery]) -> None:
        """Acknowledge messages."""
        ...

    async def barrier(self) -> None:
        """Wait until the broker has handled all frames sent before."""
        ...


class HeldDelivery:
    """A message held on a channel of this process; the receipt of its `Delivery`.

    Attributes:
        attempts: attempts before this one.
        abandoned: see `Delivery.abandoned`.
        deadline: when the lease ends, on the process's monotonic clock.
        copied: its successor is stored, and this message only has to be removed.
    """

    __slots__ = (
        "abandoned", "attempts", "body", "consumer", "copied", "deadline", "id", "state",
        "subscription", "tag",
    )  # fmt: skip

    def __init__(
        self, consumer: Holder, subscription: Subscription, tag: int, message_id: str,
        body: bytes, attempts: int, *, abandoned: bool = False,
    ) -> None:  # fmt: skip
        self.consumer = consumer
        self.subscription = subscription
        self.tag = tag
        self.id = message_id
        self.body = body
        self.attempts = attempts
        self.abandoned = abandoned
        self.state = State.BUFFERED
        self.deadline = math.inf
        self.copied = False

    def delivery(self) -> Delivery:
        """Return the delivery for `dequeue`."""
        return Delivery(
            self.id, self.consumer.queue, self.body, self.attempts + 1, self, self.abandoned
        )


class Leases:
    """The leases of one driver, ended by a timer.

    Args:
        loop: the event loop of the driver's thread.
        on_end: called in that loop with deliveries whose lease ran out.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_end: Callable[[Sequence[HeldDelivery]], None]
    ) -> None:
        self._loop = loop
        self._on_end = on_end
        self._held: set[HeldDelivery] = set()
        self._lock = threading.Lock()  # leases are extended from other threads
        self._timer: asyncio.TimerHandle | None = None
        self._next = math.inf

    def begin(self, held: HeldDelivery, deadline: float) -> None:
        """Begin a lease that ends at `deadline`."""
        held.state = State.HELD
        held.deadline = deadline
        self._held.add(held)
        self._schedule(deadline)

    def end(self, held: HeldDelivery, state: State) -> None:
        """End the lease early."""
        with self._lock:
            held.state = state
        self._held.discard(held)

    def orphan(self, held: HeldDelivery) -> None:
        """Mark a delivery whose channel ended: the broker delivers the message to any consumer."""
        with self._lock:
            held.state = State.ORPHANED
            held.deadline = max(held.deadline, time.monotonic() + GRACE)
        self._held.discard(held)

    def extend(self, held: HeldDelivery, seconds: float) -> bool:
        """Extend a lease to `seconds` from now; False if it is lost. Callable from any thread."""
        now = time.monotonic()
        with self._lock:
            if held.state is State.ORPHANED:
                # it is unknown whether the broker delivers it to this process again
                return now < held.deadline
            if held.state is not State.HELD:
                return False
            held.deadline = now + seconds
        if held.deadline < self._next:
            try:
                self._loop.call_soon_threadsafe(self._schedule, held.deadline)
            except RuntimeError:  # the loop is closed: the driver was disconnected
                return False
        return True

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._next = -math.inf

    def _schedule(self, moment: float) -> None:
        if moment < self._next:
            if self._timer is not None:
                self._timer.cancel()
            self._next = moment
            wait = min(max(0.0, moment - time.monotonic()), LONGEST_TIMER)
            self._timer = self._loop.call_later(wait, self._end_due)

    def _end_due(self) -> None:
        self._timer, self._next = None, math.inf
        now = time.monotonic()
        with self._lock:
            over = [held for held in self._held if held.deadline <= now]
            if over and now - min(held.deadline for held in over) > STOPPED:
                for held in over:
                    held.deadline = now + GRACE
                over = []
            for held in over:
                held.state = State.LOST
        self._held.difference_update(over)
        self._schedule(min((held.deadline for held in self._held), default=math.inf))
        if over:
            self._on_end(over)
