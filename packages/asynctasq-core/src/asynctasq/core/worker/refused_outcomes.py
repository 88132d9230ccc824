"""Outcomes that came too late, for messages that come back without one.

A broker that stalls for longer than a lease may carry out a fetch whose answer is lost. The message
then belongs to nobody, the outcome of the attempt before is refused, and the message is delivered
again when that lease ends: to the worker that has run its task already.
"""

import time
from collections import OrderedDict
from dataclasses import replace

from asynctasq.drivers.base_driver import Delivery, Outcome, Settlement

#: Outcomes that are remembered, and for how many seconds.
LIMIT = 10_000
LIFETIME = 600.0


class RefusedOutcomes:
    """Remembers what ended a message and was refused because its lease was lost."""

    def __init__(self) -> None:
        self._outcomes: OrderedDict[tuple[str, str], tuple[float, Settlement]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._outcomes)

    def remember(self, settlement: Settlement) -> None:
        """Keep a DONE or DEAD outcome; RETRY and RELEASE would let the message run anyway."""
        if settlement.outcome in (Outcome.DONE, Outcome.DEAD):
            delivery = replace(settlement.delivery, body=b"")  # it comes back with the message
            until = time.monotonic() + LIFETIME
            self._outcomes.pop((delivery.queue, delivery.id), None)  # the latest is the last
            self._outcomes[delivery.queue, delivery.id] = (
                until,
                replace(settlement, delivery=delivery),
            )
            self._forget_old()

    def _forget_old(self) -> None:
        outcomes, now = self._outcomes, time.monotonic()
        while len(outcomes) > LIMIT or next(iter(outcomes.values()))[0] < now:
            outcomes.popitem(last=False)

    def recall(self, delivery: Delivery) -> Settlement | None:
        """The outcome of an earlier attempt, if the attempt before this one was abandoned.

        A message that failed elsewhere meanwhile, or was requeued, runs again.
        """
        found = self._outcomes.pop((delivery.queue, delivery.id), None)
        if found is None or found[0] < time.monotonic():
            return None
        is_later = delivery.attempt > found[1].delivery.attempt
        return found[1] if delivery.abandoned and is_later else None
