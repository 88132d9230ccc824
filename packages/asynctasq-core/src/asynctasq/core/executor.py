"""From a delivery to its outcome: read it, run it, judge what came of it."""

import asyncio
import logging
import time
from collections.abc import Callable

from asynctasq.config import Config
from asynctasq.core.attempt import Attempt, Call, Stop
from asynctasq.core.error_text import for_people, note, one_line
from asynctasq.core.retry import NOT_KNOWN_YET, attempts_for, policy_for
from asynctasq.core.runners import Runners
from asynctasq.core.seclusion import AGAIN, Seclusion
from asynctasq.core.tracing import current_tracing
from asynctasq.drivers.base_driver import Outcome, Settlement
from asynctasq.errors import (
    InvalidArguments,
    SerializationError,
    SignatureError,
    TaskCancelled,
    TaskNotFound,
    UnknownType,
    UnsupportedVersion,
    WorkerDied,
)
from asynctasq.events import records
from asynctasq.events.stream import EventStream
from asynctasq.serialization.envelope import EnvelopeCodec
from asynctasq.tasks.context import running_task
from asynctasq.tasks.definition import Runnable
from asynctasq.tasks.registry import TaskRegistry

logger = logging.getLogger("asynctasq.worker")

#: Seconds before a call is delivered again that somebody else than the worker cancelled, as
#: asyncio.run does at its end: should a task do it to itself, this is no hot loop.
OTHERS_CANCEL_DELAY = 1.0


class Executor:
    """Turns attempts into settlements.

    Args:
        seclusion: where a message runs that may be what killed its workers.
        settle: takes each outcome.
        ended: called when an attempt no longer needs a slot, whatever came of it.
    """

    def __init__(
        self,
        *,
        registry: TaskRegistry,
        codec: EnvelopeCodec,
        config: Config,
        runners: Runners,
        events: EventStream,
        seclusion: Seclusion,
        settle: Callable[[Settlement], None],
        ended: Callable[[Attempt], None],
    ) -> None:
        self._registry = registry
        self._codec = codec
        self._config = config
        self._runners = runners
        self._events = events if events else None
        self._seclusion = seclusion
        self._settle = settle
        self._ended = ended

    def start(self, attempt: Attempt) -> None:
        """Run an attempt in a task of its own."""
        attempt.task = asyncio.get_running_loop().create_task(self._run(attempt))

    def begun(self, attempt: Attempt) -> None:
        """Tell that the user's code starts."""
        assert attempt.call is not None
        self._emit(records.TaskStarted, attempt, enqueued_at=attempt.call.envelope.enqueued_at)

    async def _run(self, attempt: Attempt) -> None:
        try:
            settlement = await self._outcome(attempt)
        except GeneratorExit:  # its loop is gone
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, the message needs an outcome
            if attempt.interrupted_by(error):
                settlement = self._interrupted(attempt)
            else:  # a serializer that raises what it likes
                settlement = self._not_readable_yet(attempt, error)
        finally:
            self._ended(attempt)
        if settlement is not None:
            self._settle(settlement)

    async def _outcome(self, attempt: Attempt) -> Settlement | None:
        try:
            call = self._read(attempt)
        except (TaskNotFound, UnknownType, UnsupportedVersion, SignatureError) as error:
            return self._not_readable_yet(attempt, error)
        except SerializationError as error:
            return self._dead(attempt, error)
        attempt.call = call
        running_task.set(attempt.context)
        tracing = current_tracing()
        if tracing is None:
            return await self._judge(attempt, call)
        try:
            with tracing.running(attempt, call):
                return await self._judge(attempt, call)
        finally:
            attempt.error = None  # its traceback leads back to the attempt

    async def _judge(self, attempt: Attempt, call: Call) -> Settlement | None:
        if attempt.delivery.attempt > call.max_attempts:
            return await self._last_chance(attempt, call)
        return await self._perform(attempt, call)

    async def _last_chance(self, attempt: Attempt, call: Call) -> Settlement | None:
        """Run once more alone what had no attempt to itself; it was not judged by any outcome."""
        if call.max_attempts == 1 or attempt.delivery.attempt > self._last_attempt(call):
            return await self._give_up(attempt, call, _workers_died(attempt, call))
        with self._seclusion.claimed() as mine:
            if not mine:
                return Settlement(attempt.delivery, Outcome.RELEASE, delay=AGAIN)
            logger.warning(
                "%s: its workers died at every attempt; once more, with nothing beside it",
                attempt.name, extra=_fields(attempt),
            )  # fmt: skip
            if not await self._seclusion.is_alone():
                return await self._give_up(attempt, call, _workers_died(attempt, call))
            with self._seclusion.limited():
                return await self._perform(attempt, call)

    def _last_attempt(self, call: Call) -> int:
        return call.max_attempts + self._seclusion.chances

    async def _perform(self, attempt: Attempt, call: Call) -> Settlement | None:
        attempt.started = time.perf_counter()
        try:
            call.runnable = call.definition.prepare(call.envelope.args, call.envelope.kwargs)
            await self._runners.run(attempt, call, call.runnable)
        except BaseException as error:  # SystemExit, too, is the task's failure
            if attempt.interrupted_by(error):
                raise
            if isinstance(error, asyncio.CancelledError):
                error = TaskCancelled(str(error))
            attempt.error = error if current_tracing() else None
            self._emit_failure(attempt, error)
            return await self._failed(attempt, call, error)
        if attempt.stop is Stop.LEASE_LOST:  # it ignored its cancellation
            return self._interrupted(attempt)
        return self._done(attempt)

    def _read(self, attempt: Attempt) -> Call:
        envelope = self._codec.decode(attempt.delivery.body)
        definition = self._registry.find(envelope.task)
        options = definition.options
        timeout = envelope.timeout or options.timeout or self._config.default_timeout
        return Call(envelope, definition, attempts_for(options, envelope, self._config), timeout)

    def _done(self, attempt: Attempt) -> Settlement:
        duration = attempt.duration
        if logger.isEnabledFor(logging.INFO):
            logger.info("%s done in %.3f s", attempt.name, duration, extra=_fields(attempt))
        self._emit(records.TaskSucceeded, attempt, duration=duration)
        return Settlement(attempt.delivery, Outcome.DONE)

    async def _failed(self, attempt: Attempt, call: Call, error: BaseException) -> Settlement:
        policy = policy_for(call.definition.options, call.envelope, self._config)
        allowed = policy.allows(attempt.delivery.attempt, error)
        if allowed and self._wants_retry(attempt, call.runnable, error):
            return self._retry(attempt, error, policy.next_delay(attempt.delivery.attempt))
        return await self._give_up(attempt, call, error)

    def _wants_retry(
        self, attempt: Attempt, runnable: Runnable | None, error: BaseException
    ) -> bool:
        try:
            return runnable is None or runnable.should_retry(error)
        except BaseException:  # the hook is the user's
            logger.exception("%s: should_retry failed", attempt.name, extra=_fields(attempt))
            return True

    async def _give_up(self, attempt: Attempt, call: Call, error: BaseException) -> Settlement:
        try:
            runnable = call.runnable or call.definition.prepare(
                call.envelope.args, call.envelope.kwargs
            )
            await self._runners.call_hook(call, runnable, error)
        except InvalidArguments:  # it cannot even be made, so it has nothing to clean up
            pass
        except BaseException as failure:  # the hook is the user's
            if attempt.interrupted_by(failure):
                raise
            logger.exception("%s: failed() failed", attempt.name, extra=_fields(attempt))
        return self._dead(attempt, error)

    def _not_readable_yet(self, attempt: Attempt, error: BaseException) -> Settlement:
        if NOT_KNOWN_YET.allows(attempt.delivery.attempt, error):
            delay = NOT_KNOWN_YET.next_delay(attempt.delivery.attempt)
            return self._retry(attempt, error, delay)
        return self._dead(attempt, error)

    def _retry(self, attempt: Attempt, error: BaseException, delay: float) -> Settlement:
        text = one_line(error)
        logger.warning(
            "%s failed, again in %.1f s: %s", attempt.name, delay, text,
            extra=_fields(attempt), exc_info=error if logger.isEnabledFor(logging.DEBUG) else None,
        )  # fmt: skip
        self._emit(records.TaskRetried, attempt, error=text, delay=delay)
        return Settlement(attempt.delivery, Outcome.RETRY, delay)

    def _dead(self, attempt: Attempt, error: BaseException) -> Settlement:
        text = one_line(error)
        show = for_people(error) if attempt.call else None
        logger.error("%s is dead: %s", attempt.name, text, extra=_fields(attempt), exc_info=show)
        self._emit(records.TaskDied, attempt, error=text)
        return Settlement(attempt.delivery, Outcome.DEAD, note=note(error))

    def _interrupted(self, attempt: Attempt) -> Settlement | None:
        """What becomes of an attempt that was cancelled by the worker."""
        if attempt.begun:
            reason = attempt.stop.value if attempt.stop else "interrupted"
            self._emit(records.TaskCancelled, attempt, reason=reason)
        if attempt.stop is Stop.LEASE_LOST:
            logger.warning(
                "%s cancelled: its lease was lost, to another worker or to somebody who "
                "cancelled it", attempt.name, extra=_fields(attempt),
            )  # fmt: skip
            return None
        logger.info("%s given back", attempt.name, extra=_fields(attempt))
        delay = 0.0 if attempt.stop is Stop.SHUTDOWN else OTHERS_CANCEL_DELAY
        return Settlement(attempt.delivery, Outcome.RELEASE, delay)

    def _emit_failure(self, attempt: Attempt, error: BaseException) -> None:
        if self._events is not None:
            duration = attempt.duration
            self._emit(records.TaskFailed, attempt, error=one_line(error), duration=duration)

    def _emit(self, record: type[records.AttemptEvent], attempt: Attempt, **more: object) -> None:
        if self._events is not None:
            self._events.emit(
                lambda: record(
                    time=time.time(),
                    worker_id=attempt.worker_id,
                    task_id=attempt.delivery.id,
                    name=attempt.name,
                    queue=attempt.delivery.queue,
                    correlation_id=attempt.correlation_id,
                    attempt=attempt.delivery.attempt,
                    **more,  # pyright: ignore[reportCallIssue] - each record has its own
                )
            )


def _workers_died(attempt: Attempt, call: Call) -> WorkerDied:
    return WorkerDied(
        f"delivered {attempt.delivery.attempt} times, allowed are {call.max_attempts} "
        "attempts: its workers died, or lost their leases, while it ran"
    )


def _fields(attempt: Attempt) -> dict[str, object]:
    delivery = attempt.delivery
    return {
        "task_id": delivery.id,
        "task_name": attempt.name,
        "queue": delivery.queue,
        "attempt": delivery.attempt,
        **({"correlation_id": attempt.correlation_id} if attempt.correlation_id else {}),
    }
