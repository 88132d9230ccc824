"""Who waits for messages of which queue, and what wakes them."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager


class Waiter:
    """One dequeue that waits.

    News that come between `clear` and `wait` end the wait, so none are lost when what is stored
    is looked at in between.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._due = math.inf
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = math.inf  # uvloop's handle of a timer that is due cannot tell

    def clear(self) -> None:
        """Forget the news so far."""
        self._event.clear()
        self._due = math.inf

    def tell(self, delay: float) -> None:
        """There is a message that becomes deliverable in `delay` seconds."""
        if delay <= 0:
            self._event.set()
        else:
            self._due = min(self._due, self._loop.time() + delay)
            if self._alarm is not None and self._due < self._alarm_at:
                self._set_alarm()

    async def wait(self, seconds: float) -> None:
        """Wait for news, or for so long."""
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
    """All dequeues of a driver that wait."""

    def __init__(self) -> None:
        self._by_queue: defaultdict[str, set[Waiter]] = defaultdict(set)

    @contextmanager
    def waiting(self, queues: Sequence[str]) -> Generator[Waiter]:
        """A waiter that is told of news about `queues` in the block."""
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

    def tell(self, queue: str, delay: float = 0.0) -> None:
        """A message of `queue` becomes deliverable in `delay` seconds."""
        for waiter in self._by_queue.get(queue, ()):
            waiter.tell(delay)

    def tell_all(self) -> None:
        """Something may have happened anywhere."""
        for queue in self._by_queue:
            self.tell(queue)
