"""Group commit: while one call is under way, the next batch collects. There is no timer."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from asynctasq.core.execution.cancellation import was_cancelled
from asynctasq.utils.backoff import Backoff

logger = logging.getLogger("asynctasq.worker")

Item = TypeVar("Item")

#: Seconds that a call under way may take to notice that it was cancelled.
CANCEL_LIMIT = 2.0


class GroupCommit(Generic[Item]):
    """Passes items to `commit` in batches, one batch at a time, in order.

    Only `stop` drops items. A batch that is interrupted in another way is committed again:
    ``asyncio.run`` cancels every task at its end, this one's too, while callers still wait.

    Args:
        commit: called with one batch. An exception is a bug: it is logged, and the same batch is
            committed again, after a back-off.
        limit: the largest number of items in a batch.
    """

    def __init__(self, commit: Callable[[Sequence[Item]], Awaitable[None]], *, limit: int) -> None:
        self._commit = commit
        self._limit = limit
        self._pending: deque[Item] = deque()
        self._batch: Sequence[Item] = ()
        self._runner: asyncio.Task[None] | None = None
        self._stopping = False
        self._backoff = Backoff()

    def __len__(self) -> int:
        """The number of items that wait for the next batch."""
        return len(self._pending)

    def add(self, item: Item) -> None:
        """Adds an item to the next batch."""
        self._pending.append(item)
        if self._runner is None or self._runner.done():
            self._start()

    async def flush(self) -> None:
        """Waits until all items added so far are committed."""
        while self._runner is not None:
            if self._runner.done():  # cancelled before its first step
                self._start()
            await asyncio.wait([self._runner])

    async def stop(self) -> Sequence[Item]:
        """Cancels the call under way, and drops and returns all uncommitted items."""
        self._stopping, runner = True, self._runner
        if runner is not None:
            runner.cancel()
            await asyncio.wait([runner], timeout=CANCEL_LIMIT)
            if runner.done():  # cancelled before its first step, it does not reset this itself
                self._runner = None
        dropped = [*self._batch, *self._pending]
        self._batch = ()
        self._pending.clear()
        self._stopping = False
        return dropped

    def _start(self) -> None:
        # not by the loop's task factory: an eager task could end before `_runner` is set
        self._runner = asyncio.Task(self._run(), loop=asyncio.get_running_loop())

    async def _run(self) -> None:
        try:
            while self._pending:
                count = min(len(self._pending), self._limit)
                self._batch = [self._pending.popleft() for _ in range(count)]
                await self._commit_batch()
                self._batch = ()
        except GeneratorExit:  # the event loop was closed
            self._stopping = True
            raise
        finally:
            self._pending.extendleft(reversed(self._batch))  # if it was interrupted
            self._batch = ()
            self._runner = None
            if self._pending and not self._stopping:
                self._start()

    async def _commit_batch(self) -> None:
        while True:
            try:
                await self._commit(self._batch)
            except (Exception, asyncio.CancelledError) as error:  # a bug must not lose the batch
                if was_cancelled(error):
                    raise
                if not self._backoff:
                    logger.error("committing a batch failed, trying again", exc_info=error)
                await asyncio.sleep(self._backoff.next())
            else:
                return self._backoff.reset()
