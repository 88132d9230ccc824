"""What becomes of a delivery: it begins, waits for a slot, goes back, or is here already."""

from collections.abc import Callable, Sequence

from asynctasq.core.ahead import Ahead
from asynctasq.core.attempt import CANCEL_PATIENCE, Attempt, Stop
from asynctasq.core.lease_keeper import LeaseKeeper
from asynctasq.core.seclusion import Seclusion
from asynctasq.core.settler import Settler, emit_lost
from asynctasq.core.slots import Slots
from asynctasq.drivers.base_driver import Delivery, Outcome, Settlement
from asynctasq.events.stream import EventStream


class Intake:
    """Takes what is fetched, and lets it begin when there is a slot.

    Args:
        start: runs an attempt that has its slot.
        stopping: whether nothing more is to begin.
    """

    def __init__(
        self,
        worker_id: str,
        *,
        slots: Slots,
        ahead: Ahead,
        keeper: LeaseKeeper,
        settler: Settler,
        seclusion: Seclusion,
        start: Callable[[Attempt], None],
        stopping: Callable[[], bool],
        events: EventStream,
    ) -> None:
        self._worker_id = worker_id
        self._slots = slots
        self._ahead = ahead
        self._keeper = keeper
        self._settler = settler
        self._seclusion = seclusion
        self._start = start
        self._events = events
        self._stopping = stopping

    async def capacity(self, *, full: int) -> int:
        """How many messages to fetch now; waits until it is one. 0 when no more may run.

        Args:
            full: see `asynctasq.drivers.Limits.full_fetch`.
        """
        while (room := await self._slots.room(full=full)) and not self._stopping():
            if self._seclusion.closed:
                room = 0
            elif self._settler.congested:  # but some may be ready for when it is not
                room = min(room, self._ahead.wanted())
            if room:
                return room
            await self._slots.change()
        return 0

    def take(self, deliveries: Sequence[Delivery], limit: int) -> None:
        """Take what a fetch brought that asked for `limit` messages."""
        self._ahead.fetched(deliveries, limit)
        for delivery in deliveries:
            self._keeper.hold(delivery)
            if not self._is_here(delivery):
                self._take(delivery)

    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Give back what did not begin."""
        for delivery in deliveries:
            self._settler.add(Settlement(delivery, Outcome.RELEASE))
        self._slots.changed()

    def ended(self, attempt: Attempt) -> None:
        """Give an attempt's slot to the next."""
        if attempt.begun:
            self._ahead.ended(attempt.started)
        self._slots.leave(attempt)
        self._begin_next()

    def settled(self, deliveries: Sequence[Delivery]) -> None:
        """Hold these no longer: their outcomes are stored."""
        for delivery in deliveries:
            self._keeper.drop(delivery)
        if not self._settler.congested:
            self._begin_next()
            self._slots.changed()

    def leases_lost(self, deliveries: Sequence[Delivery]) -> None:
        """Stop what somebody else holds by now."""
        for delivery in deliveries:
            if self._ahead.drop(delivery):
                emit_lost(self._events, self._worker_id, delivery)
                self._keeper.drop(delivery)
            attempt = self._slots.find(delivery)
            # else its outcome is on the way and will be refused, or it has a new lease by now
            if attempt is not None and attempt.delivery == delivery:
                emit_lost(self._events, self._worker_id, delivery)
                self._keeper.drop(attempt.delivery)
                attempt.cancel(Stop.LEASE_LOST)

    @property
    def _closed(self) -> bool:
        return self._stopping() or self._seclusion.closed

    def _is_here(self, delivery: Delivery) -> bool:
        """Whether this worker has the message already, and only its lease had run out.

        So it is after the broker was away, or this process was stopped, for longer than a
        lease: the attempt goes on under the new lease, and does not run twice.
        """
        attempt = self._slots.find(delivery)
        if attempt is None:
            return self._ahead.replace(delivery) or self._settler.settle_again(delivery)
        if attempt.stop is None:
            attempt.delivery = delivery
        else:  # cancelled, and not ended yet: not before it has
            self._settler.add(Settlement(delivery, Outcome.RELEASE, delay=CANCEL_PATIENCE))
        return True

    def _take(self, delivery: Delivery) -> None:
        if self._slots.free and not self._ahead and not self._closed:
            self._begin(delivery)
        elif self._ahead.takes(delivery) and not self._closed:
            self._ahead.put(delivery)
        else:  # as when the fetch was under way
            self.release([delivery])

    def _begin(self, delivery: Delivery) -> None:
        attempt = Attempt(delivery, self._worker_id)
        self._slots.enter(attempt)
        self._start(attempt)

    def _begin_next(self) -> None:
        """Let begin what was taken ahead, if it may."""
        while self._ahead and self._slots.free and not self._settler.congested and not self._closed:
            self._begin(self._ahead.pop())
