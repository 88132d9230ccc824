"""Runs a call by its mode: on the event loop, in a thread or in a process."""

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from asynctasq.core.execution.attempt import Attempt, Call
from asynctasq.core.execution.process_child import Job
from asynctasq.core.execution.process_pool import ProcessPool
from asynctasq.core.execution.threads import TaskThreads
from asynctasq.core.execution.tracing import Headers, current_tracing
from asynctasq.errors import TaskTimeout
from asynctasq.tasks.definition import Mode, Runnable

logger = logging.getLogger("asynctasq.worker")


class Runners:
    """The three ways to run a call. Each raises the task's exception, or `TaskTimeout`.

    Args:
        on_begin: called when the user's code starts, after a wait for a process.
    """

    def __init__(
        self, pool: ProcessPool, on_begin: Callable[[Attempt], None] | None = None
    ) -> None:
        self._pool = pool
        self._on_begin = on_begin
        self._threads = TaskThreads()

    async def run(self, attempt: Attempt, call: Call, runnable: Runnable) -> None:
        """Runs an attempt to its end."""
        if call.definition.mode is Mode.PROCESS:
            await self._in_process(attempt, call)
            return
        self._begin(attempt)
        if call.definition.mode is Mode.LOOP:
            await _on_loop(runnable, call.timeout)
        else:
            await self._in_thread(attempt, call, runnable)

    async def call_hook(self, call: Call, runnable: Runnable, error: BaseException) -> None:
        """Calls a task's `failed` hook, in a thread unless the task is asynchronous.

        The task's timeout limits the hook, too.
        """
        async with asyncio.timeout(call.timeout):
            if inspect.iscoroutinefunction(runnable.failed) or call.definition.mode is Mode.LOOP:
                result = runnable.failed(error)
            else:
                context = contextvars.copy_context()
                result = await self._threads.run(lambda: context.run(runnable.failed, error))
            if inspect.isawaitable(result):
                await result

    async def close(self) -> None:
        """Ends idle threads and processes."""
        self._threads.close()
        await self._pool.close()

    async def _in_thread(self, attempt: Attempt, call: Call, runnable: Runnable) -> None:
        context = contextvars.copy_context()
        limit = asyncio.timeout(call.timeout)
        try:
            async with limit:
                result = await self._threads.run(lambda: context.run(runnable.execute))
                if inspect.isawaitable(result):  # a function that returns a coroutine
                    await cast("Awaitable[object]", result)
        except TimeoutError:
            if not limit.expired():
                raise
            logger.warning(
                "%s id=%s timed out, but a thread cannot be stopped: it keeps running in the "
                "background; use process=True to have it killed",
                attempt.name, attempt.delivery.id,
            )  # fmt: skip
            raise TaskTimeout(f"longer than {call.timeout:g} s") from None

    async def _in_process(self, attempt: Attempt, call: Call) -> None:
        tracing = current_tracing()
        trace: Headers = tracing.headers() if tracing else {}
        job = Job(attempt.delivery.body, call.definition.origin, attempt.context(), trace)
        await self._pool.run(job, call.timeout, lambda: self._begin(attempt))

    def _begin(self, attempt: Attempt) -> None:
        attempt.begin()
        if self._on_begin is not None:
            self._on_begin(attempt)


async def _on_loop(runnable: Runnable, timeout: float | None) -> None:
    work: Any = runnable.execute()
    if timeout is None:
        await work
        return
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            await work
    except TimeoutError:
        if not limit.expired():  # the task's own
            raise
        raise TaskTimeout(f"longer than {timeout:g} s") from None
