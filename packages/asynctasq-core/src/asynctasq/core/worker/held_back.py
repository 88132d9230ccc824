"""Backs off from outcomes that the broker did not accept, by queue and by outcome."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from asynctasq.core.execution.attempt import Attempt
from asynctasq.utils.backoff import Backoff


@dataclass(slots=True)
class _Pause:
    """The times of a failing queue or outcome, by `time.monotonic`.

    Attributes:
        since: when it failed first.
        until: when it may be sent again.
    """

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
        """Whether a queue or an outcome failed and has not succeeded since."""
        return bool(self._queues or self._refused)

    def __contains__(self, attempt: Attempt) -> bool:
        """Whether an outcome must wait now."""
        pause = self._refused.get(attempt) or self._queues.get(attempt.delivery.queue)
        return pause is not None and pause.left > 0

    def fail(self, batch: Sequence[Attempt]) -> None:
        """Holds back the queue of a batch, longer each time.

        Earlier refusals of outcomes in the batch are forgotten: the broker is unavailable.
        """
        for attempt in batch:
            self._refused.pop(attempt, None)
        self._queues.setdefault(batch[0].delivery.queue, _Pause()).prolong()

    def refuse(self, attempt: Attempt) -> bool:
        """Holds back one outcome; False when it has been refused for longer than the limit."""
        pause = self._refused.setdefault(attempt, _Pause())
        if time.monotonic() - pause.since > self._limit:
            del self._refused[attempt]
            return False
        pause.prolong()
        return True

    def answered(self, batch: Sequence[Attempt]) -> None:
        """Forgets the failures of a batch that succeeded."""
        for attempt in batch:
            self._refused.pop(attempt, None)
            self._queues.pop(attempt.delivery.queue, None)

    def keep_only(self, waiting: Collection[Attempt]) -> None:
        """Forgets the failures of outcomes that are not `waiting` any more."""
        for queue in self._queues.keys() - {attempt.delivery.queue for attempt in waiting}:
            del self._queues[queue]
        for attempt in self._refused.keys() - set(waiting):
            del self._refused[attempt]

    @property
    def next_due(self) -> float:
        """Seconds until the next outcome may be sent again; 0 if one may be sent now."""
        pauses = [*self._queues.values(), *self._refused.values()]
        return max(0.0, min((pause.left for pause in pauses), default=0.0))
