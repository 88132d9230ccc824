"""Work that comes to its end even if nobody waits for it any more."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import TypeVar

from asynctasq.errors import BrokerError, BrokerUnavailable

logger = logging.getLogger("asynctasq.sqs")

T = TypeVar("T")

#: Seconds in which what was cancelled must end.
CANCEL_LIMIT = 1.0


class Background:
    """Owns tasks from their start to their end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()

    async def run(self, work: Coroutine[object, object, T]) -> T:
        """The result of `work`, which goes on when the caller is cancelled."""
        task = self._own(asyncio.create_task(work))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise BrokerUnavailable("the driver was disconnected") from None
            raise

    def start(self, work: Coroutine[object, object, object]) -> None:
        """Let `work` come to its end; a broker's error is logged."""
        self._own(asyncio.create_task(_logged(work)))

    async def close(self, limit: float) -> None:
        """Wait `limit` seconds for everything to end, and cancel what has not by then."""
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
            task.exception()  # whoever waited has it; nobody else needs to hear of it


async def _logged(work: Coroutine[object, object, object]) -> None:
    try:
        await work
    except BrokerError as error:
        logger.warning("messages come back when their lease ends: %s", error)
