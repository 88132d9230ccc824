"""Outcomes that are not sent for a while, because the broker did not take them."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from asynctasq.core.execution.attempt import Attempt
from asynctasq.utils.backoff import Backoff


@dataclass(slots=True)
class _Pause:
    """Until when something waits, and how long it has been failing, by `time.monotonic`."""

    backoff: Backoff = field(default_factory=Backoff)
    since: float = field(default_factory=time.monotonic)
    until: float = 0.0

    def prolong(self) -> None:
        self.until = time.monotonic() + self.backoff.next()

    @property
    def left(self) -> float:
        return self.until - time.monotonic()


class HeldBack:
    """Queues whose calls failed, and single outcomes that were refused.

    Args:
        limit: seconds for which a refused outcome is sent again.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._queues: dict[str, _Pause] = {}
        self._refused: dict[Attempt, _Pause] = {}

    def __bool__(self) -> bool:
        """Whether anything failed and has not succeeded since."""
        return bool(self._queues or self._refused)

    def __contains__(self, attempt: Attempt) -> bool:
        """Whether an outcome must wait now."""
        pause = self._refused.get(attempt) or self._queues.get(attempt.delivery.queue)
        return pause is not None and pause.left > 0

    def fail(self, batch: Sequence[Attempt]) -> None:
        """Let the queue of a batch wait, longer each time.

        The broker is away: that it refused some of the batch before does not count any more.
        """
        for attempt in batch:
            self._refused.pop(attempt, None)
        self._queues.setdefault(batch[0].delivery.queue, _Pause()).prolong()

    def refuse(self, attempt: Attempt) -> bool:
        """Let one outcome wait; False when it has been refused for longer than the limit."""
        pause = self._refused.setdefault(attempt, _Pause())
        if time.monotonic() - pause.since > self._limit:
            del self._refused[attempt]
            return False
        pause.prolong()
        return True

    def answered(self, batch: Sequence[Attempt]) -> None:
        """Forget the failures of what succeeded."""
        for attempt in batch:
            self._refused.pop(attempt, None)
            self._queues.pop(attempt.delivery.queue, None)

    def keep_only(self, waiting: Collection[Attempt]) -> None:
        """Forget the failures of what is gone in another way, as when it was delivered again."""
        for queue in self._queues.keys() - {one.delivery.queue for one in waiting}:
            del self._queues[queue]
        for attempt in self._refused.keys() - set(waiting):
            del self._refused[attempt]

    @property
    def next_due(self) -> float:
        """Seconds until something may be sent again; 0 when something may be now."""
        pauses = [*self._queues.values(), *self._refused.values()]
        return max(0.0, min((pause.left for pause in pauses), default=0.0))
