"""Starts attempts: each in an asyncio task and a context of its own, while there are free slots."""

import asyncio
import contextvars
import sys
from collections.abc import Awaitable, Callable

from asynctasq.core.execution.attempt import Attempt
from asynctasq.core.execution.executor import Executor, current_task
from asynctasq.core.worker.in_flight import InFlight
from asynctasq.core.worker.prefetch import Prefetch
from asynctasq.drivers.base_driver import Settlement

#: Turns an attempt into its settlement; None when its lease was lost.
Work = Callable[[Attempt], Awaitable[Settlement | None]]


class Starter:
    """Starts buffered attempts, and frees their slots when they end.

    Args:
        burst: attempts that start in one turn of the event loop.
    """

    def __init__(
        self, in_flight: InFlight, prefetch: Prefetch, executor: Executor, *, burst: int
    ) -> None:
        self._in_flight = in_flight
        self._prefetch = prefetch
        self._executor = executor
        self._burst = burst
        self._starting = False
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.Context()
        self._is_eager = False
        in_flight.on_room = self._start_soon

    def open(self) -> None:
        """Runs attempts in copies of the current context, while the current task lives."""
        self._executor.open()
        self._context = contextvars.copy_context()
        # a task factory of the application's applies to attempts, too
        has_factory = self._loop.get_task_factory() is not None
        self._is_eager = not has_factory

    def start_buffered(self) -> None:
        """Starts buffered attempts while slots are free; yields to the loop after a burst."""
        self._starting = True  # an attempt that ends at once frees its slot for this same loop
        for _ in range(self._burst):
            attempt = self._in_flight.start_next()
            if attempt is None:
                self._starting = False
                return
            self.run(attempt, self._executor.outcome)
        self._loop.call_soon(self.start_buffered, context=self._context)

    def run(self, attempt: Attempt, work: Work) -> None:
        """Runs `work` for an attempt, in a task and a context of its own.

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
                settlement = self._executor.interrupted(attempt)
        except BaseException as error:  # every attempt needs an outcome
            if isinstance(error, GeneratorExit) and current_task() is not attempt.task:
                raise  # the event loop was closed
            settlement = await self._executor.unexpected(attempt, error)
        if attempt.user_code_started and attempt.has_slot:
            self._prefetch.ended(attempt.prepared_at)
        self._in_flight.finish(attempt, settlement)
