"""Admits deliveries: starts them, buffers them, releases them, or merges them with a record."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from asynctasq.core.execution.attempt import Attempt, State
from asynctasq.core.execution.outcomes import Outcomes
from asynctasq.core.worker.in_flight import InFlight
from asynctasq.core.worker.prefetch import Prefetch
from asynctasq.core.worker.starter import Starter
from asynctasq.core.worker.suspects import Suspects
from asynctasq.drivers.base_driver import Delivery

#: Seconds for which a worker waits for more free slots, where a small fetch costs as much as a
#: full one.
LINGER = 0.03


class Admission:
    """Decides how many messages to fetch, and what happens to each.

    Args:
        slots: the limit on running attempts.
        full_fetch: see `asynctasq.drivers.Limits.full_fetch`.
        outcomes: emits an event for each lost lease.
    """

    def __init__(
        self,
        in_flight: InFlight,
        prefetch: Prefetch,
        starter: Starter,
        suspects: Suspects,
        outcomes: Outcomes,
        *,
        slots: int,
        full_fetch: int,
    ) -> None:
        self._in_flight = in_flight
        self._prefetch = prefetch
        self._starter = starter
        self._suspects = suspects
        self._outcomes = outcomes
        self._full_fetch = min(full_fetch, slots)

    async def capacity(self) -> int:
        """Waits until messages may be fetched; returns how many, or 0 when no more may start."""
        in_flight = self._in_flight
        while (room := await self._room()) and not in_flight.is_stopping():
            if in_flight.over_limit:  # nothing starts now, but the prefetch may be filled
                room = min(room, self._prefetch.wanted())
            if room:
                return room
            await in_flight.changes.wait()
        return 0

    def take(self, deliveries: Sequence[Delivery], limit: int) -> None:
        """Admits the result of a fetch of `limit` messages."""
        suspects = self._suspects
        found = suspects.count(deliveries)
        if not found:
            self._prefetch.fetched(deliveries, limit)
        elif found < len(deliveries):  # a fetch of suspects alone says nothing about the backlog
            ordinary = [each for each in deliveries if not suspects.is_suspect(each)]
            self._prefetch.fetched(ordinary, limit - found)
        admitted = [new for each in deliveries if (new := self._in_flight.admit(each)) is not None]
        if found:
            suspects.take([new for new in admitted if suspects.is_suspect(new.delivery)])
        self._starter.start_buffered()
        waiting = [new for new in admitted if new.state is State.BUFFERED]
        if waiting:
            self._buffer(waiting)

    def leases_lost(self, deliveries: Sequence[Delivery]) -> None:
        """Drops or cancels the records whose leases were lost."""
        for delivery in deliveries:
            if self._in_flight.lose(delivery):
                self._outcomes.lease_lost(delivery)

    def _buffer(self, waiting: Sequence[Attempt]) -> None:
        if self._in_flight.is_stopping():  # the shutdown was requested during the fetch
            self._in_flight.release(waiting)
            return
        for attempt in waiting:
            self._prefetch.wait(attempt)
        self._in_flight.release(
            [attempt for attempt in waiting if not self._prefetch.may_wait(attempt.delivery)]
        )

    async def _room(self) -> int:
        """Waits for room; returns how many messages fit, or 0 when the budget is spent.

        With room for less than a full fetch, waits up to `LINGER` for running attempts to end.
        """
        in_flight, full = self._in_flight, self._full_fetch
        while (free := self._free()) <= 0 and (in_flight.unended or in_flight.budget is None):
            await in_flight.changes.wait()
        if 0 < free < full:
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER):
                    while in_flight.running and self._free() < full:
                        await in_flight.changes.wait()
            free = max(free, self._free())
        return max(free, 0)

    def _free(self) -> int:
        in_flight = self._in_flight
        free = max(0, in_flight.free - self._suspects.reserved) + self._prefetch.wanted()
        return (
            free if in_flight.budget is None else min(free, in_flight.budget - in_flight.buffered)
        )
