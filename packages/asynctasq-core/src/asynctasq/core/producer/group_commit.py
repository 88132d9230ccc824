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
    """Hands items to `commit` in batches, one batch at a time, in order.

    Only `stop` drops items. ``asyncio.run`` cancels every task at its end, this one's too, and
    those who clean up then still wait for what they added: a batch that is interrupted by anyone
    else is committed once more.

    Args:
        commit: takes one batch. An exception is a bug of it: it is logged, and the same batch is
            committed again, after a back-off.
        limit: most items of one batch.
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
        """How many items wait for their turn."""
        return len(self._pending)

    def add(self, item: Item) -> None:
        """Put an item into the next batch."""
        self._pending.append(item)
        if self._runner is None or self._runner.done():
            self._start()

    async def flush(self) -> None:
        """Wait until everything added so far is committed."""
        while self._runner is not None:
            if self._runner.done():  # cancelled before its first step
                self._start()
            await asyncio.wait([self._runner])

    async def stop(self) -> Sequence[Item]:
        """Cancel the call under way, drop what is not committed, and return that."""
        self._stopping, runner = True, self._runner
        if runner is not None:
            runner.cancel()
            await asyncio.wait([runner], timeout=CANCEL_LIMIT)
            if runner.done():  # which it does not note itself before its first step
                self._runner = None
        dropped = [*self._batch, *self._pending]
        self._batch = ()
        self._pending.clear()
        self._stopping = False
        return dropped

    def _start(self) -> None:
        # not by the loop's task factory: one that starts tasks eagerly would end this before it is
        # known here
        self._runner = asyncio.Task(self._run(), loop=asyncio.get_running_loop())

    async def _run(self) -> None:
        try:
            while self._pending:
                count = min(len(self._pending), self._limit)
                self._batch = [self._pending.popleft() for _ in range(count)]
                await self._commit_batch()
                self._batch = ()
        except GeneratorExit:  # its loop is gone
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
            except (Exception, asyncio.CancelledError) as error:  # a bug must not cost the batch
                if was_cancelled(error):
                    raise
                if not self._backoff:
                    logger.error("a batch failed, and is tried again", exc_info=error)
                await asyncio.sleep(self._backoff.next())
            else:
                return self._backoff.reset()
