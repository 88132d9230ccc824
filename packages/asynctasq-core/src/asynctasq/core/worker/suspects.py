"""Sends abandoned messages through the quarantine, where a crash does not harm the worker.

A message whose last attempt ended without an outcome may crash its worker again: when it is read,
when its module is imported, or when it runs. So a child process reads it first. The child also runs
it if this is its last allowed attempt; otherwise it gets a slot as any other message.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence

from asynctasq.core.execution.attempt import Attempt, CancelReason
from asynctasq.core.execution.executor import may_be_readable
from asynctasq.core.execution.outcomes import Outcomes, fields
from asynctasq.core.execution.quarantine import Kind, Quarantine, Started, Suspect, Verdict
from asynctasq.core.execution.tracing import current_tracing
from asynctasq.core.worker.in_flight import InFlight
from asynctasq.core.worker.starter import Starter
from asynctasq.core.worker.suspect_pace import Pace
from asynctasq.drivers.base_driver import Delivery, Limits, Outcome, Settlement
from asynctasq.errors import TaskError, WorkerDied

logger = logging.getLogger("asynctasq.worker")

#: Deliveries after which an abandoned message is dead without being decoded.
CEILING = 20
#: Delay in seconds of a suspect that is released because no child could be started.
LATER = 5.0
#: Seconds for which a slot is reserved during an examination: nearly all suspects then need one.
RESERVED_FOR = 15.0
#: Deliveries beyond the allowed attempts of a message that may never have started, on a broker that
#: also counts deliveries into the prefetch of a worker that died.
GRACE = 4


class Suspects:
    """Examines abandoned messages, and settles or starts them by the verdict."""

    def __init__(
        self,
        in_flight: InFlight,
        starter: Starter,
        outcomes: Outcomes,
        quarantine: Quarantine,
        limits: Limits,
    ) -> None:
        self._in_flight = in_flight
        self._starter = starter
        self._outcomes = outcomes
        self._quarantine = quarantine
        self._pace = Pace(quarantine.size)
        self._tells_abandoned = limits.tells_abandoned
        self._grace = 0 if limits.exact_attempts else GRACE
        self._reserving: set[Attempt] = set()

    @property
    def reserved(self) -> int:
        """Number of slots reserved for suspects, so that they can start after their examination."""
        return len(self._reserving)

    def is_suspect(self, delivery: Delivery) -> bool:
        """Whether a message must be examined before it may run here."""
        if delivery.abandoned:
            return True
        return not self._tells_abandoned and delivery.attempt > CEILING

    def count(self, deliveries: Sequence[Delivery]) -> int:
        """Counts the suspects of a fetch; nearly always 0, so this is fast."""
        if self._tells_abandoned:
            return sum(delivery.abandoned for delivery in deliveries)
        return sum(self.is_suspect(delivery) for delivery in deliveries)

    def take(self, attempts: Iterable[Attempt]) -> None:
        """Examines buffered attempts, and releases those beyond the limit."""
        for attempt in attempts:
            self._take(attempt)

    def _take(self, attempt: Attempt) -> None:
        delivery = attempt.delivery
        if delivery.abandoned and delivery.attempt > CEILING:
            error = WorkerDied(
                f"delivered {delivery.attempt} times, the last without an outcome: "
                "it was not read again"
            )
            self._in_flight.settle(attempt, self._outcomes.dead(attempt, error))
        elif self._in_flight.is_stopping():
            self._in_flight.release([attempt])
        elif self._in_flight.suspected >= self._pace.most():
            self._in_flight.release([attempt], self._pace.later())
        else:
            self._in_flight.suspect(attempt)
            self._reserving.add(attempt)
            asyncio.get_running_loop().call_later(RESERVED_FOR, self._unreserve, attempt)
            self._starter.run(attempt, self._examine)

    def _unreserve(self, attempt: Attempt) -> None:
        if attempt in self._reserving:
            self._reserving.remove(attempt)
            self._in_flight.changed()

    async def _examine(self, attempt: Attempt) -> Settlement | None:
        try:
            return await self._examined(attempt)
        finally:
            self._unreserve(attempt)

    async def _examined(self, attempt: Attempt) -> Settlement | None:
        taken = time.monotonic()
        try:
            verdict = await self._quarantine.examine(
                self._suspect(attempt.delivery, attempt.worker_id),
                lambda started: self._started(attempt, started),
            )
        except TaskError as error:  # no child could be started
            return self._not_examined(attempt, error)
        self._pace.ended(taken)
        if attempt.cancel_reason is CancelReason.LEASE_LOST:
            return self._outcomes.interrupted(attempt)
        if verdict.kind is Kind.READABLE:
            is_free = self._in_flight.acquit(attempt)
            return None if is_free else self._outcomes.interrupted(attempt)
        if verdict.kind is Kind.DONE:
            return self._outcomes.done(attempt)
        assert verdict.error is not None
        return self._judge(attempt, verdict, verdict.error)

    def _not_examined(self, attempt: Attempt, error: TaskError) -> Settlement | None:
        if attempt.cancel_reason is not None:
            return self._outcomes.interrupted(attempt)
        logger.error(
            "message %s (queue %s) released: no process could be started to examine it: %s",
            attempt.delivery.id, attempt.delivery.queue, error,
        )  # fmt: skip
        return Settlement(attempt.delivery, Outcome.RELEASE, LATER)

    def _judge(self, attempt: Attempt, verdict: Verdict, error: BaseException) -> Settlement:
        attempt.seen = verdict.started
        if verdict.kind is Kind.UNREADABLE and may_be_readable(error):
            return self._outcomes.unreadable(attempt, error)
        if attempt.user_code_started:
            self._outcomes.failed(attempt, error)
        return self._outcomes.dead(attempt, error)

    def _started(self, attempt: Attempt, started: Started) -> None:
        attempt.seen = started
        attempt.begin()
        self._unreserve(attempt)
        logger.warning(
            "%s: an earlier attempt ended without an outcome; the last runs in the quarantine",
            attempt.name, extra=fields(attempt),
        )  # fmt: skip
        self._outcomes.started(attempt)

    def _suspect(self, delivery: Delivery, worker_id: str) -> Suspect:
        tracing = current_tracing()
        return Suspect(
            delivery.body,
            delivery.id,
            delivery.queue,
            delivery.attempt,
            worker_id,
            grace=self._grace,
            trace=tracing.headers() if tracing else {},
        )
