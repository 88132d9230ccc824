"""Outcomes: makes the settlement, the log line and the event of each attempt, in one place."""

import logging
import time

from asynctasq.core.execution.attempt import UNREADABLE, Attempt, CancelReason
from asynctasq.core.execution.error_format import for_people, note, one_line
from asynctasq.core.execution.retry import NOT_KNOWN_YET
from asynctasq.drivers.base_driver import Delivery, Outcome, Settlement
from asynctasq.events import records
from asynctasq.events.stream import EventStream

logger = logging.getLogger("asynctasq.worker")


class Outcomes:
    """Makes settlements, and logs and emits their events."""

    def __init__(self, worker_id: str, events: EventStream) -> None:
        self._worker_id = worker_id
        self._events = events if events else None

    def started(self, attempt: Attempt) -> None:
        """Emits that the user's code starts."""
        found = attempt.call.envelope if attempt.call is not None else attempt.seen
        if found is not None:
            self._emit(records.TaskStarted, attempt, enqueued_at=found.enqueued_at)

    def failed(self, attempt: Attempt, error: BaseException) -> None:
        """Emits that the user's code raised."""
        if self._events is not None:
            duration = attempt.duration
            self._emit(records.TaskFailed, attempt, error=one_line(error), duration=duration)

    def done(self, attempt: Attempt) -> Settlement:
        """Settles an attempt whose task returned."""
        if self._events is not None or logger.isEnabledFor(logging.INFO):
            duration = attempt.duration
            logger.info("%s done in %.3f s", attempt.name, duration, extra=fields(attempt))
            self._emit(records.TaskSucceeded, attempt, duration=duration)
        return Settlement(attempt.delivery, Outcome.DONE)

    def retry(self, attempt: Attempt, error: BaseException, delay: float) -> Settlement:
        """Settles a failed attempt that is retried after `delay` seconds."""
        text = one_line(error)
        logger.warning(
            "%s failed, again in %.1f s: %s", attempt.name, delay, text,
            extra=fields(attempt), exc_info=error if logger.isEnabledFor(logging.DEBUG) else None,
        )  # fmt: skip
        self._emit(records.TaskRetried, attempt, error=text, delay=delay)
        return Settlement(attempt.delivery, Outcome.RETRY, delay)

    def unreadable(self, attempt: Attempt, error: BaseException) -> Settlement:
        """Settles a message that another worker, or this one after a deployment, may read."""
        if NOT_KNOWN_YET.allows(attempt.delivery.attempt, error):
            delay = NOT_KNOWN_YET.next_delay(attempt.delivery.attempt)
            return self.retry(attempt, error, delay)
        return self.dead(attempt, error)

    def dead(self, attempt: Attempt, error: BaseException) -> Settlement:
        """Settles a failed attempt without another one: the message is dead."""
        text = one_line(error)
        show = None if attempt.name == UNREADABLE else for_people(error)
        logger.error("%s is dead: %s", attempt.name, text, extra=fields(attempt), exc_info=show)
        self._emit(records.TaskDied, attempt, error=text)
        return Settlement(attempt.delivery, Outcome.DEAD, note=note(error))

    def interrupted(self, attempt: Attempt) -> Settlement | None:
        """Settles an attempt that was cancelled from outside; None if its lease was lost."""
        if attempt.user_code_started:
            reason = attempt.cancel_reason.value if attempt.cancel_reason else "interrupted"
            self._emit(records.AttemptCancelled, attempt, reason=reason)
        if attempt.cancel_reason is CancelReason.LEASE_LOST:
            logger.warning(
                "%s cancelled: lease lost to another worker, or to a command that cancelled it",
                attempt.name, extra=fields(attempt),
            )  # fmt: skip
            return None
        logger.info("%s released", attempt.name, extra=fields(attempt))
        return Settlement(attempt.delivery, Outcome.RELEASE)

    def lease_lost(self, delivery: Delivery) -> None:
        """Emits that a lease was lost."""
        if self._events is not None:
            self._events.emit(
                lambda: records.LeaseLost(
                    time=time.time(),
                    worker_id=self._worker_id,
                    task_id=delivery.id,
                    queue=delivery.queue,
                    attempt=delivery.attempt,
                )
            )

    def settled(self, count: int, duration: float) -> None:
        """Emits that the broker accepted a batch of outcomes."""
        if self._events is not None:
            self._events.emit(
                lambda: records.OutcomesSettled(
                    time=time.time(), worker_id=self._worker_id, count=count, duration=duration
                )
            )

    def _emit(self, record: type[records.AttemptEvent], attempt: Attempt, **more: object) -> None:
        if self._events is not None:
            self._events.emit(
                lambda: record(
                    time=time.time(),
                    worker_id=self._worker_id,
                    task_id=attempt.delivery.id,
                    name=attempt.name,
                    queue=attempt.delivery.queue,
                    correlation_id=attempt.correlation_id,
                    attempt=attempt.delivery.attempt,
                    **more,  # pyright: ignore[reportCallIssue] - each record has its own
                )
            )


def fields(attempt: Attempt) -> dict[str, object]:
    """Returns the extra fields of log records about an attempt."""
    delivery = attempt.delivery
    return {
        "task_id": delivery.id,
        "task_name": attempt.name,
        "queue": delivery.queue,
        "attempt": delivery.attempt,
        **({"correlation_id": attempt.correlation_id} if attempt.correlation_id else {}),
    }
