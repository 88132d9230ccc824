"""Limits how many suspects a worker holds, and decides when the others are delivered again.

The attempt of a suspect that waits for a child of the quarantine is counted: if the worker is
killed, that attempt is lost. So a worker holds no more suspects than its children examine in about
`AHEAD` seconds, and releases the others, each with the delay that the suspects before it need.
"""

import time

#: Seconds within which all held suspects should be examined.
AHEAD = 1.0
#: Limit on held suspects, however fast they are examined.
MOST = 100
#: Limit on held suspects before the first verdict.
FIRST = 20
#: Delay in seconds of released suspects before the first verdict.
LATER = 2.0
#: Longest delay in seconds of a released suspect: later examinations may be much faster.
MOST_LATER = 15.0
#: Shortest interval in seconds: about the cost of fetching a message.
SHORTEST = 1e-4
#: The weight of the latest verdict in the moving average. It is large, since the first interval
#: includes the start of a child.
WEIGHT = 1 / 4


class Pace:
    """Estimates the seconds between two verdicts.

    Args:
        children: the number of processes that examine suspects.
    """

    def __init__(self, children: int) -> None:
        self._least = 2 * children
        self._interval: float | None = None
        self._last_end = 0.0
        self._turn = 0.0

    def ended(self, taken: float) -> None:
        """Records a verdict about a suspect that was taken at `taken`, by `time.monotonic`."""
        now = time.monotonic()
        interval = now - max(taken, self._last_end)
        self._last_end = now
        average = self._interval
        if average is None:
            self._interval = max(interval, SHORTEST)
            return
        self._interval = max(average + (interval - average) * WEIGHT, SHORTEST)
        if self._turn > now:  # suspects released before are examined at the new pace
            self._turn = now + (self._turn - now) * self._interval / average

    def most(self) -> int:
        """Returns the limit on held suspects."""
        if self._interval is None:
            return FIRST
        return max(self._least, int(min(MOST, AHEAD / self._interval)))

    def later(self) -> float:
        """Returns the delay in seconds for the next suspect to release; each call adds to it."""
        if self._interval is None:
            return LATER
        now = time.monotonic()
        self._turn = min(max(self._turn, now + AHEAD / 2) + self._interval, now + MOST_LATER)
        return self._turn - now
