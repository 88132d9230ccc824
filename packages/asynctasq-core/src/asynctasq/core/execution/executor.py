"""From a delivery to its outcome: read it, run it, judge what came of it."""

import asyncio
import contextvars
import logging
import sys
import time
from collections.abc import Awaitable, Callable

from asynctasq.core.execution.attempt import Attempt, Call, CancelReason
from asynctasq.core.execution.outcomes import Outcomes, fields
from asynctasq.core.execution.reader import Reader
from asynctasq.core.execution.retry import workers_died
from asynctasq.core.execution.runners import Runners
from asynctasq.core.execution.tracing import current_tracing
from asynctasq.core.worker.in_flight import InFlight
from asynctasq.core.worker.prefetch import Prefetch
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

#: Turns an attempt into its settlement; None when its lease was lost.
Work = Callable[[Attempt], Awaitable[Settlement | None]]


class Executor:
    """Runs attempts that have a slot, each in a task and a context of its own.

    Args:
        burst: attempts that start in one turn of the event loop.
    """

    def __init__(
        self,
        in_flight: InFlight,
        prefetch: Prefetch,
        reader: Reader,
        runners: Runners,
        outcomes: Outcomes,
        *,
        burst: int,
    ) -> None:
        self._in_flight = in_flight
        self._prefetch = prefetch
        self._reader = reader
        self._runners = runners
        self._outcomes = outcomes
        self._burst = burst
        self._starting = False
        self._loop = asyncio.get_running_loop()
        self._host: asyncio.Task[object] | None = None
        self._context = contextvars.Context()
        self._is_eager = False
        in_flight.on_room = self._start_soon

    def open(self) -> None:
        """Run attempts in copies of the current context, as long as the current task lives."""
        self._host = asyncio.current_task()
        self._context = contextvars.copy_context()
        # a loop that makes its tasks in a way of its own makes these, too
        has_factory = self._loop.get_task_factory() is not None
        self._is_eager = not has_factory

    def start_buffered(self) -> None:
        """Start what waits, while there are slots; after a burst the loop has a turn."""
        self._starting = True  # what ends at once makes room for the next turn of this loop
        for _ in range(self._burst):
            attempt = self._in_flight.start_next()
            if attempt is None:
                self._starting = False
                return
            self.run(attempt, self._outcome)
        self._loop.call_soon(self.start_buffered, context=self._context)

    def run(self, attempt: Attempt, work: Work) -> None:
        """Turn an attempt into its outcome, in a task and a context of its own.

        From Python 3.12 on the task takes its first step at once.
        """
        running = self._run(attempt, work)
        if sys.version_info >= (3, 12) and self._is_eager:
            asyncio.Task(running, loop=self._loop, context=self._context.copy(), eager_start=True)
        else:
            self._loop.create_task(running, context=self._context.copy())

    def _start_soon(self) -> None:
        if not self._starting and self._in_flight.buffered:
            self._starting = True
            self._loop.call_soon(self.start_buffered, context=self._context)

    async def _run(self, attempt: Attempt, work: Work) -> None:
        attempt.task = asyncio.current_task()
        try:
            if attempt.cancel_reason is None:
                settlement = await work(attempt)
            else:  # cancelled before this first step
                settlement = self._outcomes.interrupted(attempt)
        except BaseException as error:
            if isinstance(error, GeneratorExit) and _current_task() is not attempt.task:
                raise  # its loop is gone
            settlement = await self._unexpected(attempt, error)
        if attempt.user_code_started and attempt.has_slot:
            self._prefetch.ended(attempt.prepared_at)
        self._in_flight.finish(attempt, settlement)

    async def _unexpected(self, attempt: Attempt, error: BaseException) -> Settlement | None:
        """Judge what came out of everything below.

        asyncio throws a GeneratorExit of a child task in here, and closes the coroutines between.
        """
        try:
            if self.is_interrupted(attempt, error):
                return self._outcomes.interrupted(attempt)
            if attempt.call is not None:
                return await self._failed(attempt, attempt.call, _as_failure(attempt, error))
        except BaseException as another:  # noqa: BLE001 - the message needs an outcome all the same
            error = another
        # a serializer that raises what it likes, or a bug of ours
        logger.error("reading a message failed", exc_info=error, extra=fields(attempt))
        return self._outcomes.unreadable(attempt, error)

    def is_interrupted(self, attempt: Attempt, error: BaseException) -> bool:
        """Whether `error` came of stopping the attempt, or the whole worker, from outside.

        A task that cancels itself, or is cancelled by another, has failed.
        """
        if isinstance(error, GeneratorExit):
            return _current_task() is not attempt.task
        if attempt.cancel_reason is not None:
            return True
        if not isinstance(error, asyncio.CancelledError) or self._host is None:
            return False
        return self._host.cancelling() > 0 or self._host.done()

    async def _outcome(self, attempt: Attempt) -> Settlement | None:
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
            attempt.error = None  # its traceback leads back to the attempt

    async def _judge(self, attempt: Attempt, call: Call) -> Settlement | None:
        if attempt.number > call.max_attempts:
            error = workers_died(attempt.number, call.max_attempts)
            return await self._give_up(attempt, call, error)
        attempt.prepared_at = time.perf_counter()
        try:
            call.runnable = call.definition.prepare(call.envelope.args, call.envelope.kwargs)
            await self._runners.run(attempt, call, call.runnable)
        except BaseException as error:  # SystemExit, too, is the task's failure
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
        except BaseException:  # the hook is the user's
            logger.exception("%s: should_retry failed", attempt.name, extra=fields(attempt))
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
            if self.is_interrupted(attempt, failure):
                raise
            logger.exception("%s: failed() failed", attempt.name, extra=fields(attempt))
        return self._outcomes.dead(attempt, error)


def may_be_readable(error: BaseException) -> bool:
    """Whether a message that could not be read may be read by another worker, or later."""
    hopeful = (TaskNotFound, UnknownType, UnsupportedVersion, SignatureError)
    return isinstance(error, hopeful) or not isinstance(error, SerializationError)


def _as_failure(attempt: Attempt, error: BaseException) -> BaseException:
    """The error of a task that raised `error`; one that was cancelled is not any more."""
    if isinstance(error, GeneratorExit):  # as Python does with a StopIteration
        return RuntimeError(f"the task raised {error!r}")
    if not isinstance(error, asyncio.CancelledError):
        return error
    while attempt.task is not None and attempt.task.cancelling():
        attempt.task.uncancel()
    return TaskCancelled(str(error))


def _current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs here
        return None
