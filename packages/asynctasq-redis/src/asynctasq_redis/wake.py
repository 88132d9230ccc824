"""Wakes waiting dequeues when a message arrives.

Each queue has a zset ``wake`` of at most two markers. A script that makes messages ready, or the
next due time earlier, adds markers; a waiter blocks on them (``BZPOPMIN``), and each marker wakes
one waiter. No wake-up is lost, and few are unnecessary:

- a waiter runs a claim before it blocks, gets the next due time from it, and blocks no longer;
- a claim that leaves ready messages adds markers, which wake further waiters in a chain; a claim
  that leaves none removes them, so markers do not accumulate;
- a woken waiter that returns messages adds a marker, so that another waits for the next due time;
- a cancelled waiter first unblocks its connection, whose reply shows whether it popped a marker,
  and then adds a marker for another waiter.

A waiter killed after it popped a marker delays other waiters by their own wait at most.
"""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from asynctasq.drivers.connection_reset import resets
from asynctasq_redis.connection import Connections
from asynctasq_redis.errors import REDIS_ERRORS
from asynctasq_redis.names import Keys
from asynctasq_redis.pool import Link, exchange, let_go, packed, refresh

#: Seconds that a server may be late with its answer to a blocking command.
GRACE = 5.0
#: How often, and how many seconds apart, CLIENT UNBLOCK is sent for a blocked connection.
UNBLOCK_TRIES, UNBLOCK_PAUSE = 20, 0.05
#: Most connections kept for the next wait.
SPARE = 16


@dataclass(slots=True, eq=False)
class Seat:
    """A connection that blocks on the markers of a group of queues."""

    queues: tuple[str, ...]
    link: Link
    client_id: int | None = None


class Wait:
    """One wait, on one connection per group of queues."""

    def __init__(self, connections: Connections, keys: Keys, seats: Sequence[Seat]) -> None:
        self.seats = seats
        self._connections = connections
        self._keys = keys
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """End the wait soon."""
        self._stopped.set()

    async def run(self, seconds: float, *, exact: bool) -> bool:
        """Return whether a marker was popped within `seconds`.

        The server ends a wait up to 0.1 s late and at no cost; the driver ends an `exact` wait,
        at the cost of a command.
        """
        limit = seconds + (1 if exact else 0)
        blocks = {asyncio.create_task(self._block(seat, limit)): seat for seat in self.seats}
        for block in blocks:
            block.add_done_callback(_take_error)
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait(
                [*blocks, stopped],
                timeout=seconds if exact else seconds + 0.3,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            stopped.cancel()
            await asyncio.gather(*(self._end(task, seat) for task, seat in blocks.items()))
            results = await asyncio.gather(*blocks, return_exceptions=True)
        return _any_popped(results)

    async def _block(self, seat: Seat, seconds: float) -> bool:
        link = seat.link
        try:
            if await refresh(link):
                (client_id,) = await exchange(link, [("CLIENT", "ID")])
                seat.client_id = cast(int, client_id)
            keys = [self._keys.wake(queue) for queue in seat.queues]
            command = ("BZPOPMIN", *keys, f"{max(seconds, 0.001):.3f}")
            async with asyncio.timeout(seconds + GRACE):
                with resets():
                    await link.send_packed_command(packed([command]), check_health=False)
                return await link.read_response() is not None
        except BaseException:  # disconnected, and raised again
            seat.client_id = None
            await link.disconnect(nowait=True)
            raise

    async def _end(self, task: asyncio.Task[bool], seat: Seat) -> None:
        tries = itertools.count()
        while not task.done():
            sent = next(tries) < UNBLOCK_TRIES and await self._unblock(seat)
            if not sent and not task.done():
                task.cancel()  # repeatedly: a cancellation may be swallowed while it connects
            await asyncio.wait([task], timeout=UNBLOCK_PAUSE)

    async def _unblock(self, seat: Seat) -> bool:
        if seat.client_id is None:
            return False
        try:
            await self._connections.unblock(seat.link, seat.client_id)
        except REDIS_ERRORS:
            return False
        return True


class Waiter:
    """Waits on dedicated connections, and keeps a few for later waits."""

    def __init__(self, connections: Connections, keys: Keys) -> None:
        self._connections = connections
        self._keys = keys
        self._spare: list[Seat] = []
        self._waits: set[Wait] = set()
        self._closed = False

    def start(self, queues: Sequence[str]) -> Wait:
        """A wait for markers of `queues`, to be given to `run`."""
        groups = self._connections.groups(queues)
        wait = Wait(self._connections, self._keys, [self._seat(tuple(group)) for group in groups])
        self._waits.add(wait)
        return wait

    async def run(self, wait: Wait, seconds: float, *, exact: bool) -> bool:
        """See `Wait.run`."""
        try:
            return await wait.run(seconds, exact=exact)
        finally:
            self._waits.discard(wait)
            await self._leave(wait.seats)

    def stop(self) -> None:
        """End all waits soon."""
        self._closed = True
        for wait in self._waits:
            wait.stop()

    async def close(self) -> None:
        """Close the spare connections."""
        while self._spare:
            await let_go(self._spare.pop().link.disconnect())

    def _seat(self, queues: tuple[str, ...]) -> Seat:
        for seat in self._spare:
            if seat.queues == queues:
                self._spare.remove(seat)
                return seat
        return Seat(queues, self._connections.link(self._keys.wake(queues[0])))

    async def _leave(self, seats: Sequence[Seat]) -> None:
        for seat in seats:
            if seat.link.is_connected and not self._closed:
                self._spare.append(seat)
            else:
                await seat.link.disconnect(nowait=True)
        while len(self._spare) > SPARE:
            await let_go(self._spare.pop(0).link.disconnect())


def _any_popped(results: Sequence[bool | BaseException]) -> bool:
    if any(result is True for result in results):
        return True
    for result in results:
        if isinstance(result, Exception):
            raise result
    return False


def _take_error(block: asyncio.Task[bool]) -> None:
    """Retrieve the task's error, which a wait cancelled at its end does not."""
    if not block.cancelled():
        block.exception()
