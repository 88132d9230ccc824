"""Group commit: while one call is under way, the next batch collects. There is no timer."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class GroupCommit(Generic[Item]):
    """Hands items to `commit` in batches, one batch at a time, in order.

    Args:
        commit: takes one batch; it must not raise.
        limit: most items of one batch.
    """

    def __init__(self, commit: Callable[[Sequence[Item]], Awaitable[None]], *, limit: int) -> None:
        self._commit = commit
        self._limit = limit
        self._pending: deque[Item] = deque()
        self._runner: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many items wait for their turn."""
        return len(self._pending)

    def add(self, item: Item) -> None:
        """Put an item into the next batch."""
        self._pending.append(item)
        if self._runner is None:
            self._runner = asyncio.get_running_loop().create_task(self._run())

    async def flush(self) -> None:
        """Wait until everything added so far is committed."""
        while self._runner is not None:
            # shielded: the batch under way is others' too
            await asyncio.shield(self._runner)

    async def stop(self) -> None:
        """Drop what waits and cancel the call under way."""
        self._pending.clear()
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait([self._runner])

    async def _run(self) -> None:
        try:
            while self._pending:
                count = min(len(self._pending), self._limit)
                await self._commit([self._pending.popleft() for _ in range(count)])
        finally:
            self._runner = None
