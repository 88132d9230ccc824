"""Turns a delivery into its outcome: reads it, runs its task, and judges the task's exception."""

import asyncio
import logging
import time

from asynctasq.core.execution.attempt import Attempt, Call, CancelReason
from asynctasq.core.execution.outcomes import Outcomes, fields
from asynctasq.core.execution.reader import Reader
from asynctasq.core.execution.retry import workers_died
from asynctasq.core.execution.runners import Runners
from asynctasq.core.execution.tracing import current_tracing
from asynctasq.drivers.base_driver import Settlement
from asynctasq.errors import (
    InvalidArguments,
    SerializationError,
    SignatureError,
    TaskCancelled,
    TaskNotFound,
    UnknownType,
    UnsupportedVersion,
)
from asynctasq.tasks.context import running_task
from asynctasq.tasks.definition import Runnable

logger = logging.getLogger("asynctasq.worker")


class Executor:
    """Runs one attempt and makes its settlement."""

    def __init__(self, reader: Reader, runners: Runners, outcomes: Outcomes) -> None:
        self._reader = reader
        self._runners = runners
        self._outcomes = outcomes
        self._host: asyncio.Task[object] | None = None

    def open(self) -> None:
        """Treats the cancellation or end of the current task as that of the worker."""
        self._host = asyncio.current_task()

    async def outcome(self, attempt: Attempt) -> Settlement | None:
        """Reads and runs an attempt; None when its lease was lost.

        Raises the exception that interrupts the attempt from outside; see `is_interrupted`.
        """
        try:
            call = self._reader.read(attempt.delivery.body)
        except (TaskNotFound, SerializationError) as error:
            if may_be_readable(error):
                return self._outcomes.unreadable(attempt, error)
            return self._outcomes.dead(attempt, error)
        attempt.call = call
        running_task.set(attempt.context)
        tracing = current_tracing()
        if tracing is None:
            return await self._judge(attempt, call)
        try:
            with tracing.running(attempt, call):
                return await self._judge(attempt, call)
        finally:
            attempt.error = None  # its traceback refers to the attempt: a reference cycle

    def interrupted(self, attempt: Attempt) -> Settlement | None:
        """Returns the settlement of an attempt that was cancelled from outside."""
        return self._outcomes.interrupted(attempt)

    async def unexpected(self, attempt: Attempt, error: BaseException) -> Settlement | None:
        """Returns the settlement for an exception that `outcome` raised.

        asyncio also throws the GeneratorExit of a child task in here, and closes the coroutines
        in between.
        """
        try:
            if self.is_interrupted(attempt, error):
                return self._outcomes.interrupted(attempt)
            if attempt.call is not None:
                return await self._failed(attempt, attempt.call, _as_failure(attempt, error))
        except BaseException as another:  # noqa: BLE001 - the message needs an outcome all the same
            error = another
        # a serializer that raises undocumented errors, or a bug of the engine
        logger.error("reading a message failed", exc_info=error, extra=fields(attempt))
        return self._outcomes.unreadable(attempt, error)

    def is_interrupted(self, attempt: Attempt, error: BaseException) -> bool:
        """Whether `error` was caused by stopping the attempt, or the worker, from outside.

        A task that cancels itself, or is cancelled by another task, has failed.
        """
        if isinstance(error, GeneratorExit):
            return current_task() is not attempt.task
        if attempt.cancel_reason is not None:
            return True
        if not isinstance(error, asyncio.CancelledError) or self._host is None:
            return False
        return self._host.cancelling() > 0 or self._host.done()

    async def _judge(self, attempt: Attempt, call: Call) -> Settlement | None:
        if attempt.number > call.max_attempts:
            error = workers_died(attempt.number, call.max_attempts)
            return await self._give_up(attempt, call, error)
        attempt.prepared_at = time.perf_counter()
        try:
            call.runnable = call.definition.prepare(call.envelope.args, call.envelope.kwargs)
            await self._runners.run(attempt, call, call.runnable)
        except BaseException as error:  # a SystemExit is a failure of the task, too
            if self.is_interrupted(attempt, error):
                raise
            return await self._failed(attempt, call, _as_failure(attempt, error))
        if attempt.cancel_reason is CancelReason.LEASE_LOST:  # it ignored its cancellation
            return self._outcomes.interrupted(attempt)
        return self._outcomes.done(attempt)

    async def _failed(self, attempt: Attempt, call: Call, error: BaseException) -> Settlement:
        attempt.error = error if current_tracing() else None
        self._outcomes.failed(attempt, error)
        policy = self._reader.policy(call)
        allowed = policy.allows(attempt.delivery.attempt, error)
        if allowed and self._wants_retry(attempt, call.runnable, error):
            delay = policy.next_delay(attempt.delivery.attempt)
            return self._outcomes.retry(attempt, error, delay)
        return await self._give_up(attempt, call, error)

    def _wants_retry(
        self, attempt: Attempt, runnable: Runnable | None, error: BaseException
    ) -> bool:
        try:
            return runnable is None or runnable.should_retry(error)
        except BaseException:  # the user's hook may raise anything
            logger.exception("%s: should_retry failed", attempt.name, extra=fields(attempt))
            return True

    async def _give_up(self, attempt: Attempt, call: Call, error: BaseException) -> Settlement:
        try:
            runnable = call.runnable or call.definition.prepare(
                call.envelope.args, call.envelope.kwargs
            )
            await self._runners.call_hook(call, runnable, error)
        except InvalidArguments:  # without a task object there is nothing to clean up
            pass
        except BaseException as failure:  # the user's hook may raise anything
            if self.is_interrupted(attempt, failure):
                raise
            logger.exception("%s: failed() failed", attempt.name, extra=fields(attempt))
        return self._outcomes.dead(attempt, error)


def may_be_readable(error: BaseException) -> bool:
    """Whether an unreadable message may be readable by another worker, or later."""
    hopeful = (TaskNotFound, UnknownType, UnsupportedVersion, SignatureError)
    return isinstance(error, hopeful) or not isinstance(error, SerializationError)


def _as_failure(attempt: Attempt, error: BaseException) -> BaseException:
    """Returns the failure for an exception of the task; undoes its own cancellations."""
    if isinstance(error, GeneratorExit):  # as Python converts a StopIteration
        return RuntimeError(f"the task raised {error!r}")
    if not isinstance(error, asyncio.CancelledError):
        return error
    while attempt.task is not None and attempt.task.cancelling():
        attempt.task.uncancel()
    return TaskCancelled(str(error))


def current_task() -> asyncio.Task[object] | None:
    """Returns the running asyncio task; None where no loop runs."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
