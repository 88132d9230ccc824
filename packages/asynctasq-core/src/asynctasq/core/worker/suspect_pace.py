"""How many suspects a worker holds, and when the others come again.

What waits for a child of the quarantine has had its attempt counted: should the worker be killed,
that attempt is lost. So a worker holds no more than its children finish in about `AHEAD` seconds,
and releases the others until then: each for as long as those before it take.
"""

import time

#: Seconds in which what is held should have been examined.
AHEAD = 1.0
#: Suspects that are held at most, whatever their pace.
MOST = 100
#: Suspects that are held before there was a verdict.
FIRST = 20
#: Seconds for which others are released before there was a verdict.
LATER = 2.0
#: Longest time in seconds for which one is released: the next may be much quicker.
MOST_LATER = 15.0
#: Shortest interval in seconds: a message costs as much on its way here.
SHORTEST = 1e-4
#: The weight of the latest verdict in the moving average; the first waited for a child to start.
WEIGHT = 1 / 4


class Pace:
    """Estimates the seconds between two verdicts.

    Args:
        children: processes that examine suspects at once.
    """

    def __init__(self, children: int) -> None:
        self._least = 2 * children
        self._interval: float | None = None
        self._last_end = 0.0
        self._turn = 0.0

    def ended(self, taken: float) -> None:
        """Record a verdict about a suspect that was taken at `taken`, by `time.monotonic`."""
        now = time.monotonic()
        interval = now - max(taken, self._last_end)
        self._last_end = now
        average = self._interval
        if average is None:
            self._interval = max(interval, SHORTEST)
            return
        self._interval = max(average + (interval - average) * WEIGHT, SHORTEST)
        if self._turn > now:  # those that were released before are examined at the new pace
            self._turn = now + (self._turn - now) * self._interval / average

    def most(self) -> int:
        """How many suspects to hold."""
        if self._interval is None:
            return FIRST
        return max(self._least, int(min(MOST, AHEAD / self._interval)))

    def later(self) -> float:
        """Seconds for which to release a suspect; the next one has its turn after it."""
        if self._interval is None:
            return LATER
        now = time.monotonic()
        self._turn = min(max(self._turn, now + AHEAD / 2) + self._interval, now + MOST_LATER)
        return self._turn - now
