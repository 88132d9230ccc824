"""Runs calls to completion, even when their callers are cancelled or do not wait."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import TypeVar

from asynctasq.errors import BrokerError, BrokerUnavailable

logger = logging.getLogger("asynctasq.sqs")

T = TypeVar("T")

#: Seconds that cancelled tasks have to end.
CANCEL_LIMIT = 1.0


class Background:
    """Owns tasks from their start to their end.

    It differs from `asynctasq.drivers.shield.Shield`: work can also start without a caller, its
    errors are logged then, and `close` waits for cancelled tasks within a limit.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()

    async def run(self, work: Coroutine[object, object, T]) -> T:
        """Return the result of `work`, which continues when the caller is cancelled."""
        task = self._own(asyncio.create_task(work))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise BrokerUnavailable("the driver was disconnected") from None
            raise

    def start(self, work: Coroutine[object, object, object]) -> None:
        """Start `work` without waiting for it; a `BrokerError` is logged."""
        self._own(asyncio.create_task(_logged(work)))

    async def close(self, limit: float) -> None:
        """Wait `limit` seconds for running work, then cancel the remaining tasks."""
        deadline = asyncio.get_running_loop().time() + limit
        while self._tasks and (left := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self._tasks, timeout=left)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CANCEL_LIMIT)

    def _own(self, task: asyncio.Task[T]) -> asyncio.Task[T]:
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[T]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not log it; `run` raises it


async def _logged(work: Coroutine[object, object, object]) -> None:
    try:
        await work
    except BrokerError as error:
        logger.warning("messages were not released, and return when their lease ends: %s", error)
