"""Whether a worker's broker answers: noted by those who talk to it, read from any thread."""

import time


class Vitals:
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
    def silence(self) -> float:
        """Seconds since some part has been asking in vain; 0 when the broker answers."""
        since = min(self._failing.copy().values(), default=None)
        return 0.0 if since is None else time.monotonic() - since
