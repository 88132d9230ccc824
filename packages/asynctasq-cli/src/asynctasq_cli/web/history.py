"""How full queues have been lately."""

import time
from collections import deque
from collections.abc import Callable, Iterable

from asynctasq.drivers import QueueStats

#: Looks that are remembered.
DEPTH = 60
#: Seconds over which a change is averaged: one look's difference jumps about.
WINDOW = 10.0


class History:
    """The unfinished messages of each queue at the last looks."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, deque[tuple[float, int]]] = {}

    def add(self, queues: Iterable[QueueStats]) -> None:
        """Remember a look; what is not among `queues` any more is forgotten."""
        now = self._clock()
        before, self._seen = self._seen, {}
        for stats in queues:
            seen = before.get(stats.queue) or deque(maxlen=DEPTH)
            seen.append((now, stats.unfinished))
            self._seen[stats.queue] = seen

    def counts(self, queue: str) -> list[int]:
        """The counts, the latest last."""
        return [count for _, count in self._seen.get(queue, ())]

    def rate(self, queue: str) -> float | None:
        """Messages per second by which the queue grows; None after less than two looks."""
        seen = self._seen.get(queue, ())
        if len(seen) < 2:
            return None
        now, count = seen[-1]
        then, before = next((t, c) for t, c in seen if t >= now - WINDOW)
        if then == now:  # the looks are further apart than the window
            then, before = seen[-2]
        return (count - before) / (now - then) if now > then else None
