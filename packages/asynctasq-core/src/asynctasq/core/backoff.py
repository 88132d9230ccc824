"""How long to wait before asking a broker again that did not answer."""

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

    def next(self) -> float:
        """Seconds to wait after one more failure."""
        wait = min(self._longest, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return wait * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """The broker answered."""
        self._failures = 0
