"""Remembers outcomes that were refused because their lease was lost.

A broker that stalls for longer than a lease may carry out a fetch whose answer is lost. The message
is then leased but not held by any worker, the outcome of the previous attempt is refused, and the
message is delivered again when that lease ends: to a worker that has run its task already.
"""

import time
from collections import OrderedDict
from dataclasses import replace

from asynctasq.drivers.base_driver import Delivery, Outcome, Settlement

#: Limit on remembered outcomes, and seconds for which they are kept.
LIMIT = 10_000
LIFETIME = 600.0


class RefusedOutcomes:
    """The refused outcomes that would have ended their messages, by queue and id."""

    def __init__(self) -> None:
        self._outcomes: OrderedDict[tuple[str, str], tuple[float, Settlement]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._outcomes)

    def remember(self, settlement: Settlement) -> None:
        """Keeps a DONE or DEAD outcome; after RETRY and RELEASE the message runs again anyway."""
        if settlement.outcome in (Outcome.DONE, Outcome.DEAD):
            delivery = replace(settlement.delivery, body=b"")  # the next delivery has the body
            until = time.monotonic() + LIFETIME
            self._outcomes.pop((delivery.queue, delivery.id), None)  # keeps the order by age
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
        """Returns the outcome of an earlier attempt, if the attempt before this was abandoned.

        None for a message that failed on another worker meanwhile, or was requeued: it runs again.
        """
        found = self._outcomes.pop((delivery.queue, delivery.id), None)
        if found is None or found[0] < time.monotonic():
            return None
        is_later = delivery.attempt > found[1].delivery.attempt
        return found[1] if delivery.abandoned and is_later else None
