"""Tracks whether the broker is reachable; safe to read from any thread."""

import time

#: The part that calls the broker all the time; the others do so only when there is work.
FETCHER = "fetcher"


class BrokerHealth:
    """Records for each part of the worker since when its calls to the broker have failed."""

    def __init__(self) -> None:
        self._failing: dict[str, float] = {}

    def answered(self, part: str) -> None:
        """Records that the broker answered `part`, a refusal included."""
        if self._failing:
            self._failing.pop(part, None)

    def failed(self, part: str) -> None:
        """Records that a call of `part` failed."""
        self._failing.setdefault(part, time.monotonic())

    @property
    def fetches_fail(self) -> bool:
        """Whether the last fetch failed; its log line then covers the other parts, too."""
        return FETCHER in self._failing

    @property
    def silence(self) -> float:
        """Seconds for which calls to the broker have failed; 0 when it answers."""
        since = min(self._failing.copy().values(), default=None)
        return 0.0 if since is None else time.monotonic() - since
