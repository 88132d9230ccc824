"""Receipts: what this process holds of the broker's, and until when.

AMQP has no leases: a message is held for as long as its channel is open. So the lease is a
promise of the driver that took the message: when it ends, the driver gives the message back.
Receipts live in the process; any driver in it can extend and settle by them.
"""

from __future__ import annotations

import asyncio
import enum
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from asynctasq.drivers import Delivery, Settlement

if TYPE_CHECKING:
    from asynctasq_rabbitmq.consumer import Consumer
    from asynctasq_rabbitmq.subscriptions import Subscription

#: Seconds after which leases are looked at, at the latest.
LATEST_LOOK = 3600.0
#: Seconds by which leases last longer after their process was stopped, or their channel ended:
#: time to be extended, or for the broker to bring the message back here.
GRACE = 5.0
#: Seconds after the end of a lease from which on the process must have been stopped.
STOPPED = 1.0


class State(enum.Enum):
    """What a receipt is good for."""

    BUFFERED = "buffered"  #: nobody has asked for the message yet
    HELD = "held"
    SETTLED = "settled"
    APPLIED = "applied"  #: settled by a call that failed for others
    ORPHANED = "orphaned"  #: its channel ended, so the broker gives the message to anybody
    LOST = "lost"  #: the lease ran out


class Owner(Protocol):
    """Who holds a message; to be called from any thread's event loop."""

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes, and return the deliveries whose lease was lost."""
        ...

    def extend(self, held: Held, seconds: float) -> bool:
        """Let a lease end so many seconds from now; False if it is lost."""
        ...


class Held:
    """A message on a channel of this process.

    Attributes:
        attempts: deliveries before this one.
        abandoned: see `Delivery.abandoned`.
        deadline: when the lease ends, on the process's monotonic clock.
        copied: the message was stored again, and must only be removed here.
    """

    __slots__ = (
        "abandoned", "attempts", "body", "consumer", "copied", "deadline", "id", "state",
        "subscription", "tag",
    )  # fmt: skip

    def __init__(
        self, consumer: Consumer, subscription: Subscription, tag: int, message_id: str,
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
        """What is handed out."""
        return Delivery(
            self.id, self.consumer.queue, self.body, self.attempts + 1, self, self.abandoned
        )


class Leases:
    """The leases of one driver, which end by themselves.

    Args:
        loop: the driver's.
        on_end: called with what ran out, in the loop.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_end: Callable[[Sequence[Held]], None]
    ) -> None:
        self._loop = loop
        self._on_end = on_end
        self._held: set[Held] = set()
        self._lock = threading.Lock()  # leases are extended from other threads
        self._look: asyncio.TimerHandle | None = None
        self._next = math.inf

    def begin(self, held: Held, deadline: float) -> None:
        """Begin a lease."""
        held.state = State.HELD
        held.deadline = deadline
        self._held.add(held)
        self._look_at(deadline)

    def end(self, held: Held, state: State) -> None:
        """End the lease before its time."""
        with self._lock:
            held.state = state
        self._held.discard(held)

    def orphan(self, held: Held) -> None:
        """Take note that the broker gives the message to anybody, perhaps to us."""
        with self._lock:
            held.state = State.ORPHANED
            held.deadline = max(held.deadline, time.monotonic() + GRACE)
        self._held.discard(held)

    def extend(self, held: Held, seconds: float) -> bool:
        """Let a lease end so many seconds from now; False if it is lost. From any thread."""
        now = time.monotonic()
        with self._lock:
            if held.state is State.ORPHANED:
                # the broker may bring it back here; until then nobody can tell
                return now < held.deadline
            if held.state is not State.HELD:
                return False
            held.deadline = now + seconds
        if held.deadline < self._next:
            try:
                self._loop.call_soon_threadsafe(self._look_at, held.deadline)
            except RuntimeError:  # the loop is closed: the driver was disconnected
                return False
        return True

    def close(self) -> None:
        """Let no more leases end."""
        if self._look is not None:
            self._look.cancel()
        self._next = -math.inf

    def _look_at(self, moment: float) -> None:
        if moment < self._next:
            if self._look is not None:
                self._look.cancel()
            self._next = moment
            wait = min(max(0.0, moment - time.monotonic()), LATEST_LOOK)
            self._look = self._loop.call_later(wait, self._end_some)

    def _end_some(self) -> None:
        self._look, self._next = None, math.inf
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
        self._look_at(min((held.deadline for held in self._held), default=math.inf))
        if over:
            self._on_end(over)
