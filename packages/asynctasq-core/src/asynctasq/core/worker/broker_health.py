"""Whether a worker's broker answers: noted by those who talk to it, read from any thread."""

import time

#: The part that always talks to the broker, the others only when they have something to say.
FETCHER = "fetcher"


class BrokerHealth:
    """Since when the broker gives no answer, by the last word of each part that asks it."""

    def __init__(self) -> None:
        self._failing: dict[str, float] = {}

    def answered(self, part: str) -> None:
        """The broker answered `part`, if only with a refusal."""
        if self._failing:
            self._failing.pop(part, None)

    def failed(self, part: str) -> None:
        """The broker could not be reached by `part`."""
        self._failing.setdefault(part, time.monotonic())

    @property
    def fetches_in_vain(self) -> bool:
        """Whether the last fetch failed: its log line speaks for the other parts, too."""
        return FETCHER in self._failing

    @property
    def silence(self) -> float:
        """Seconds since some part has been asking in vain; 0 when the broker answers."""
        since = min(self._failing.copy().values(), default=None)
        return 0.0 if since is None else time.monotonic() - since
