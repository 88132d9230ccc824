"""Runs a driver's commands to completion when their callers are cancelled.

A command that is cut off may or may not have been executed, and its connection cannot be reused.
So the command completes, and its result is undone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import TypeVar

from asynctasq.errors import BrokerError, BrokerUnavailable

T = TypeVar("T")


class Shield:
    """Runs work in tasks of its own, and undoes it when its caller is cancelled."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()

    async def run(
        self,
        work: Coroutine[object, object, T],
        undo: Callable[[T], Awaitable[object]] | None = None,
        *,
        stop: Callable[[], None] = lambda: None,
    ) -> T:
        """Returns the result of `work`.

        When the caller is cancelled, `stop` makes the work end soon, and its result is passed
        to `undo`. Raises `BrokerUnavailable` when `close` has cancelled the work.
        """
        task = self._start(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise BrokerUnavailable("the driver was disconnected") from None
            stop()
            self._start(_undo(task, undo))
            raise

    async def close(self, limit: float) -> None:
        """Waits `limit` seconds for running work, then cancels the remaining tasks."""
        deadline = asyncio.get_running_loop().time() + limit
        while self._tasks:
            left = max(0.0, deadline - asyncio.get_running_loop().time())
            _, pending = await asyncio.wait(self._tasks, timeout=left)
            for task in pending:
                task.cancel()

    def _start(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _undo(task: asyncio.Task[T], undo: Callable[[T], Awaitable[object]] | None) -> None:
    # If this fails, nothing was executed, or the end of the lease undoes it.
    with suppress(BrokerError, asyncio.CancelledError):
        result = await task
        if undo is not None:
            await undo(result)
