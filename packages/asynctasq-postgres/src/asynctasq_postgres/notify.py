"""How often others are told of new messages.

Each transaction that notifies takes a lock on the whole database when it commits. So a driver
tells in the statement that stores a message while that is rare, and once for many when it is not.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress

from asynctasq.errors import BrokerError

#: Notifications that may follow each other at once, and how many a second after those.
BURST = 50.0
RATE = 100.0
#: What is due later than so many seconds from now is seen by everybody's next look.
HORIZON = 60.0
#: Seconds that the end may take: a server that is silent is told nothing.
CLOSE_LIMIT = 1.0


class News:
    """What is to be told, with `tell`: the seconds until a message is due, by queue."""

    def __init__(self, tell: Callable[[Mapping[str, float]], Awaitable[object]]) -> None:
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._left = BURST
        self._counted = self._loop.time()
        self._pending: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def at_once(self, news: Iterable[tuple[str, float]]) -> bool:
        """Whether the statement that makes `news` tells of them; else use `soon` after it."""
        if not _near(news):
            return False
        now = self._loop.time()
        self._left = min(BURST, self._left + (now - self._counted) * RATE)
        self._counted = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def soon(self, news: Iterable[tuple[str, float]]) -> None:
        """Tell of `news` which are stored, together with others."""
        now = self._loop.time()
        for queue, delay in _near(news):
            self._pending[queue] = min(now + delay, self._pending.get(queue, now + delay))
        if self._pending and self._task is None:
            self._task = asyncio.create_task(self._tell_soon())

    async def close(self, limit: float = CLOSE_LIMIT) -> None:
        """Tell of what is left, in at most `limit` seconds; the next look finds the rest."""
        if (task := self._task) is not None:
            await asyncio.wait([task], timeout=limit)
            task.cancel()
            await asyncio.wait([task])

    async def _tell_soon(self) -> None:
        # What fails here is found by everybody's next look.
        try:
            while self._pending:
                await asyncio.sleep(2 / RATE)
                pending, self._pending = self._pending, {}
                now = self._loop.time()
                with suppress(BrokerError):
                    await self._tell({queue: max(0.0, due - now) for queue, due in pending.items()})
        finally:
            self._task = None


def _near(news: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return [(queue, delay) for queue, delay in news if delay < HORIZON]
