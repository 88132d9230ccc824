"""A driver under search: its calls made from synchronous code, and what it holds."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar, cast

from asynctasq.drivers import BaseDriver, Delivery, Inspector, Limits, QueueStats, StoredMessage

T = TypeVar("T")

#: Seconds after which an effect that has not come counts as missing; so many less once one has
#: not, as then the search looks for a shorter sequence.
PATIENCE, IMPATIENCE = 10.0, 0.3


class Searched:
    """One driver on a loop of the search's own."""

    def __init__(self, driver: BaseDriver, runner: asyncio.Runner) -> None:
        assert isinstance(driver, Inspector), "a search needs the Inspector ability"
        facts = ("unique_ids", "reports_lost_leases", "release_keeps_attempt", "late_settle")
        missing = [name for name in facts if getattr(driver.limits, name) is False]
        whole = Limits()
        assert not missing, f"the model has {missing}"
        assert driver.limits.inspects == whole.inspects, "a search looks into every state"
        assert driver.limits.exact_counts, "a search compares counts at once"
        self.seam = cast(BaseDriver, driver)
        self.inside: Inspector = driver
        self._runner = runner
        self._patience = PATIENCE

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """The result of one of the driver's calls."""
        return self._runner.run(call)

    def dequeue(self, queues: Sequence[str], limit: int, lease: float) -> list[Delivery]:
        """What there is now."""
        return list(self.run(self.seam.dequeue(queues, limit=limit, lease=lease, wait=0)))

    def cancelled_dequeue(
        self, queues: Sequence[str], limit: int, lease: float, steps: int
    ) -> list[Delivery] | None:
        """What it returned in spite of a cancellation after so many steps of the loop."""

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
        """Let all that the driver still does come to its end."""
        self.run(self.seam.disconnect())
        self.run(self.seam.connect())

    def counts(self, queues: Sequence[str]) -> list[QueueStats]:
        """The counts of these queues."""
        return list(self.run(self.inside.counts(queues)))

    def names(self) -> set[str]:
        """The queues that hold a message."""
        return {stats.queue for stats in self.run(self.inside.queues())}

    def find(self, queue: str, ids: Sequence[str]) -> list[StoredMessage]:
        """Those of `ids` that the queue holds."""
        return list(self.run(self.inside.find(queue, ids)))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, with patience; it is the caller's to see that it never came."""
        end = time.monotonic() + self._patience
        while not condition():
            if time.monotonic() > end:
                self._patience = IMPATIENCE
                return
            self.run(asyncio.sleep(0.002))
