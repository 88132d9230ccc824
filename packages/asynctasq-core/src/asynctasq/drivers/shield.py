"""Work of a driver that must come to its end even if nobody waits for it any more.

A command that is cut off may have been carried out or not, and its connection cannot be used for
another. It is better to let it end, and to undo it then.
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
        """The result of `work`.

        When the caller is cancelled, `stop` asks the work to end soon, and its result goes
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
        """Let everything end within `limit` seconds; what has not by then is cancelled."""
        deadline = asyncio.get_running_loop().time() + limit
        while self._tasks:
            left = max(0.0, deadline - asyncio.get_running_loop().time())
            _, late = await asyncio.wait(self._tasks, timeout=left)
            for task in late:
                task.cancel()

    def _start(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _undo(task: asyncio.Task[T], undo: Callable[[T], Awaitable[object]] | None) -> None:
    # Where this fails, nothing was done, or the end of the lease undoes it.
    with suppress(BrokerError, asyncio.CancelledError):
        result = await task
        if undo is not None:
            await undo(result)
