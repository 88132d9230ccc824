"""Wakes waiting dequeues when a message of their queues becomes deliverable."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager


class Waiter:
    """One waiting dequeue.

    A wake-up between `clear` and `wait` ends the wait, so a poll in between loses no wake-up.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._due = math.inf
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = math.inf  # uvloop's handle of an expired timer has no time

    def clear(self) -> None:
        """Discard earlier wake-ups."""
        self._event.clear()
        self._due = math.inf

    def wake(self, delay: float) -> None:
        """End the wait in `delay` seconds, when a message becomes deliverable."""
        if delay <= 0:
            self._event.set()
        else:
            self._due = min(self._due, self._loop.time() + delay)
            if self._alarm is not None and self._due < self._alarm_at:
                self._set_alarm()

    async def wait(self, seconds: float) -> None:
        """Wait for a wake-up, at most `seconds`."""
        self._due = min(self._due, self._loop.time() + seconds)
        self._set_alarm()
        try:
            await self._event.wait()
        finally:
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = self._due
        self._alarm = self._loop.call_at(self._due, self._event.set)


class Waiters:
    """All waiting dequeues of a driver, by queue."""

    def __init__(self) -> None:
        self._by_queue: defaultdict[str, set[Waiter]] = defaultdict(set)

    @contextmanager
    def waiting(self, queues: Sequence[str]) -> Generator[Waiter]:
        """A waiter woken by messages in `queues`, until the end of the block."""
        waiter = Waiter()
        for queue in queues:
            self._by_queue[queue].add(waiter)
        try:
            yield waiter
        finally:
            for queue in queues:
                self._by_queue[queue].discard(waiter)
                if not self._by_queue[queue]:
                    del self._by_queue[queue]

    def wake(self, queue: str, delay: float = 0.0) -> None:
        """Wake the waiters of `queue` in `delay` seconds."""
        for waiter in self._by_queue.get(queue, ()):
            waiter.wake(delay)

    def wake_all(self) -> None:
        """Wake all waiters: any queue may have messages."""
        for queue in self._by_queue:
            self.wake(queue)
