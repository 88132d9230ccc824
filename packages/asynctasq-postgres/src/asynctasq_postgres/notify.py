"""Limits the rate of NOTIFY.

Each transaction that notifies takes a lock on the whole database when it commits. So the statement
that stores a message notifies while that is rare; under load, one NOTIFY covers many messages.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress

from asynctasq.errors import BrokerError

#: Notifications in a burst, and per second after it.
BURST = 50.0
RATE = 100.0
#: Seconds; messages that are due later need no notification: every waiting worker's poll finds
#: them in time.
HORIZON = 60.0
#: Seconds that `NotifyThrottle.close` may take: a server that does not answer gets no notification.
CLOSE_LIMIT = 1.0


class NotifyThrottle:
    """Decides when to notify of arrivals: queues, with the seconds until a message is due.

    Args:
        notify: sends one NOTIFY for several queues.
    """

    def __init__(self, notify: Callable[[Mapping[str, float]], Awaitable[object]]) -> None:
        self._notify = notify
        self._loop = asyncio.get_running_loop()
        self._tokens = BURST
        self._refilled = self._loop.time()
        self._pending: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def at_once(self, arrivals: Iterable[tuple[str, float]]) -> bool:
        """Return whether the storing statement notifies; otherwise call `soon` after it."""
        if not _near(arrivals):
            return False
        now = self._loop.time()
        self._tokens = min(BURST, self._tokens + (now - self._refilled) * RATE)
        self._refilled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def soon(self, arrivals: Iterable[tuple[str, float]]) -> None:
        """Notify of stored `arrivals`, together with others."""
        now = self._loop.time()
        for queue, delay in _near(arrivals):
            self._pending[queue] = min(now + delay, self._pending.get(queue, now + delay))
        if self._pending and self._task is None:
            self._task = asyncio.create_task(self._notify_soon())

    async def close(self, limit: float = CLOSE_LIMIT) -> None:
        """Notify of pending arrivals, in at most `limit` seconds; polls find the others."""
        if (task := self._task) is not None:
            await asyncio.wait([task], timeout=limit)
            task.cancel()
            await asyncio.wait([task])

    async def _notify_soon(self) -> None:
        try:
            while self._pending:
                await asyncio.sleep(2 / RATE)
                pending, self._pending = self._pending, {}
                now = self._loop.time()
                delays = {queue: max(0.0, due - now) for queue, due in pending.items()}
                with suppress(BrokerError):  # polls find the messages
                    await self._notify(delays)
        finally:
            self._task = None


def _near(arrivals: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return [(queue, delay) for queue, delay in arrivals if delay < HORIZON]
