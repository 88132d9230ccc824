"""The attempts under way: at most so many at once, and in batch mode so many in all."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

from asynctasq.core.ahead import Ahead
from asynctasq.core.attempt import Attempt
from asynctasq.drivers.base_driver import Delivery

#: Seconds for which a worker waits for more free slots, where fetching a few costs as much.
LINGER = 0.03


class Slots:
    """Counts attempts in and out, and lets a fetcher wait for room.

    Args:
        size: attempts at once.
        budget: attempts in all; those that never ran a task do not count. None for no end.
        ahead: what waits for a slot; it counts as if it had begun.
    """

    def __init__(self, size: int, budget: int | None, ahead: Ahead) -> None:
        self._size = size
        self._budget = budget
        self._ahead = ahead
        self._attempts: dict[tuple[str, str], Attempt] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self.done = 0

    def __len__(self) -> int:
        return len(self._attempts)

    def __iter__(self) -> Iterator[Attempt]:
        return iter(list(self._attempts.values()))

    def enter(self, attempt: Attempt) -> None:
        """Take a slot."""
        self._attempts[attempt.delivery.queue, attempt.delivery.id] = attempt
        if self._budget is not None:
            self._budget -= 1

    def leave(self, attempt: Attempt) -> None:
        """Free a slot."""
        del self._attempts[attempt.delivery.queue, attempt.delivery.id]
        if attempt.begun:
            self.done += 1
        elif self._budget is not None:
            self._budget += 1
        self.changed()

    def find(self, delivery: Delivery) -> Attempt | None:
        """The attempt at this message, under this lease or another, if it is under way."""
        return self._attempts.get((delivery.queue, delivery.id))

    def changed(self) -> None:
        """Let whoever waits look again."""
        while self._waiting:
            waiter = self._waiting.pop()
            if not waiter.done():
                waiter.set_result(None)

    @property
    def free(self) -> bool:
        """Whether one more may enter."""
        return len(self._attempts) < self._size

    async def room(self, *, full: int = 1) -> int:
        """How many may be taken now; waits until it is one. 0 when the budget is spent.

        When fewer than `full` may be, running attempts have `LINGER` to leave.
        """
        while (free := self._free()) <= 0 and self._may_grow:
            await self.change()
        if 0 < free < min(full, self._size):
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER):
                    while self._attempts and self._free() < min(full, self._size):
                        await self.change()
            free = max(free, self._free())
        return max(free, 0)

    @property
    def _may_grow(self) -> bool:
        return bool(self._attempts or self._ahead) or self._budget is None

    def _free(self) -> int:
        waiting = len(self._ahead)
        free = max(0, self._size - len(self._attempts) - waiting) + self._ahead.wanted()
        return free if self._budget is None else min(free, self._budget - waiting)

    async def change(self) -> None:
        """Wait until a slot was freed, or `changed` was called."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        await waiter

    async def empty(self) -> None:
        """Wait until nothing is under way."""
        while self._attempts:
            await self.change()
