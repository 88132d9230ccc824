"""A driver under search: synchronous versions of its calls, and a view of its messages."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar, cast

from asynctasq.drivers import BaseDriver, Delivery, Inspector, Limits, QueueStats, StoredMessage

T = TypeVar("T")

#: Seconds to wait for an effect; the shorter limit holds after the first failure, when the search
#: looks for a shorter sequence.
PATIENCE, IMPATIENCE = 10.0, 0.3


class Searched:
    """One driver on the event loop of the search."""

    def __init__(self, driver: BaseDriver, runner: asyncio.Runner) -> None:
        assert isinstance(driver, Inspector), "a search needs the Inspector capability"
        facts = ("unique_ids", "reports_lost_leases", "release_keeps_attempt", "late_settle")
        missing = [name for name in facts if getattr(driver.limits, name) is False]
        assert not missing, f"a search needs Limits with {missing}"
        assert driver.limits.inspects == Limits().inspects, "a search inspects every state"
        assert driver.limits.exact_counts, "a search needs exact counts"
        self.seam = cast(BaseDriver, driver)
        self.inside: Inspector = driver
        self._runner = runner
        self._patience = PATIENCE

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Run one of the driver's calls; return its result."""
        return self._runner.run(call)

    def dequeue(self, queues: Sequence[str], limit: int, lease: float) -> list[Delivery]:
        """Dequeue without waiting."""
        return list(self.run(self.seam.dequeue(queues, limit=limit, lease=lease, wait=0)))

    def cancelled_dequeue(
        self, queues: Sequence[str], limit: int, lease: float, steps: int
    ) -> list[Delivery] | None:
        """Dequeue, and cancel after `steps` steps of the loop; None if that raised."""

        async def cancel() -> list[Delivery] | None:
            call = self.seam.dequeue(queues, limit=limit, lease=lease, wait=0)
            task = asyncio.ensure_future(call)
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            try:
                return list(await task)
            except asyncio.CancelledError:
                return None

        return self.run(cancel())

    def reconnect(self) -> None:
        """Disconnect and connect, so that the driver's background work ends."""
        self.run(self.seam.disconnect())
        self.run(self.seam.connect())

    def counts(self, queues: Sequence[str]) -> list[QueueStats]:
        """The counts of these queues."""
        return list(self.run(self.inside.counts(queues)))

    def names(self) -> set[str]:
        """The queues that hold a message."""
        return {stats.queue for stats in self.run(self.inside.queues())}

    def find(self, queue: str, ids: Sequence[str]) -> list[StoredMessage]:
        """The messages of `ids` that the queue holds."""
        return list(self.run(self.inside.find(queue, ids)))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds, with a limit; the caller checks whether it does."""
        end = time.monotonic() + self._patience
        while not condition():
            if time.monotonic() > end:
                self._patience = IMPATIENCE
                return
            self.run(asyncio.sleep(0.002))
