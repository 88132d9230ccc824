"""The wait before the next try after a failure."""

import random


class Backoff:
    """Doubling waits with jitter, up to `longest` seconds; `reset` after a success."""

    def __init__(self, first: float = 0.1, longest: float = 5.0) -> None:
        self._first = first
        self._longest = longest
        self._failures = 0

    def __bool__(self) -> bool:
        """Whether the last call failed."""
        return self._failures > 0

    def fail(self) -> None:
        """Count one more failure."""
        self._failures += 1

    @property
    def wait(self) -> float:
        """The seconds to wait after the failures so far."""
        doubled = self._first * 2.0 ** min(max(0, self._failures - 1), 30)
        return min(self._longest, doubled) * random.uniform(0.5, 1.0)

    def next(self) -> float:
        """Count a failure, and return the seconds to wait."""
        self.fail()
        return self.wait

    def reset(self) -> None:
        """Forget the failures."""
        self._failures = 0
