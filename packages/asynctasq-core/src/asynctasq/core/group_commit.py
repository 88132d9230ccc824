"""Group commit: while one call is under way, the next batch collects. There is no timer."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class GroupCommit(Generic[Item]):
    """Hands items to `commit` in batches, one batch at a time, in order.

    Only `stop` drops items. ``asyncio.run`` cancels every task at its end, this one's too, and
    those who clean up then still wait for what they added: a batch that is interrupted by anyone
    else is committed once more.

    Args:
        commit: takes one batch; it must not raise.
        limit: most items of one batch.
    """

    def __init__(self, commit: Callable[[Sequence[Item]], Awaitable[None]], *, limit: int) -> None:
        self._commit = commit
        self._limit = limit
        self._pending: deque[Item] = deque()
        self._runner: asyncio.Task[None] | None = None
        self._stopping = False

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

    async def stop(self) -> None:
        """Drop what waits and cancel the call under way."""
        self._stopping = True
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait([self._runner])
        self._runner = None
        self._pending.clear()
        self._stopping = False

    def _start(self) -> None:
        self._runner = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        batch: list[Item] = []
        try:
            while self._pending:
                count = min(len(self._pending), self._limit)
                batch = [self._pending.popleft() for _ in range(count)]
                await self._commit(batch)
        except asyncio.CancelledError:
            self._pending.extendleft(reversed(batch))
            raise
        finally:
            self._runner = None
            if self._pending and not self._stopping:
                self._start()
