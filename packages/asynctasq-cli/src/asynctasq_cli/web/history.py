"""Recent counts of each queue, and its rate of change."""

import time
from collections import deque
from collections.abc import Callable, Iterable

from asynctasq.drivers import QueueStats

#: Counts kept for each queue.
DEPTH = 60
#: Seconds over which the rate is averaged: differences of single polls are noisy.
WINDOW = 10.0


class History:
    """The unfinished messages of each queue at the last polls."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, deque[tuple[float, int]]] = {}

    def add(self, queues: Iterable[QueueStats]) -> None:
        """Store the counts of a poll; forget queues that are not among them."""
        now = self._clock()
        before, self._seen = self._seen, {}
        for stats in queues:
            seen = before.get(stats.queue) or deque(maxlen=DEPTH)
            seen.append((now, stats.unfinished))
            self._seen[stats.queue] = seen

    def counts(self, queue: str) -> list[int]:
        """Return the counts, latest last."""
        return [count for _, count in self._seen.get(queue, ())]

    def rate(self, queue: str) -> float | None:
        """Return the queue's growth in messages per second; None after fewer than two polls."""
        seen = self._seen.get(queue, ())
        if len(seen) < 2:
            return None
        now, count = seen[-1]
        then, before = next((t, c) for t, c in seen if t >= now - WINDOW)
        if then == now:  # the polls are further apart than the window
            then, before = seen[-2]
        return (count - before) / (now - then) if now > then else None
