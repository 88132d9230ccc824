"""Runs a coroutine on the event loop of another thread, and waits for it with a limit."""

import asyncio
import concurrent.futures
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from asynctasq.errors import BrokerUnavailable, TaskError

T = TypeVar("T")

#: Seconds that a loop may be blocked, or stand still, before a caller gives up.
PATIENCE = 30.0
#: Seconds between two checks of it.
CHECK_INTERVAL = 1.0


class Handover(Generic[T]):
    """A coroutine that runs on `loop`, with the context variables of the caller.

    Raises:
        TaskError: the loop is closed.
        BrokerUnavailable: it takes no work for `PATIENCE` seconds; then the work is cancelled.
    """

    def __init__(
        self, make: Callable[[], Coroutine[Any, Any, T]], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._make = make
        self._loop = loop
        self._taken = self._abandoned = False
        self._deadline = time.monotonic() + PATIENCE
        self._future = self._submit()

    def wait(self) -> T:
        """Blocks this thread until the work is done; returns its result, or raises its error."""
        try:
            while not self._future.done():
                concurrent.futures.wait([self._future], timeout=CHECK_INTERVAL)
                self._check()
            return self._future.result()
        finally:
            self._abandoned = True
            self._future.cancel()

    async def result(self) -> T:
        """The same on an event loop; the work is cancelled with the caller."""
        waiter = asyncio.wrap_future(self._future)
        try:
            while not waiter.done():
                await asyncio.wait([waiter], timeout=CHECK_INTERVAL)
                self._check()
            return waiter.result()
        finally:
            self._abandoned = True
            waiter.cancel()

    def _submit(self) -> "concurrent.futures.Future[T]":
        work = self._run()
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise _closed() from None

    async def _run(self) -> T:
        if self._abandoned:  # its cancellation would come after the first step
            raise asyncio.CancelledError
        self._taken = True
        return await self._make()

    def _check(self) -> None:
        if self._future.done():
            return
        now = time.monotonic()
        if self._loop.is_closed():
            raise _closed()
        if self._taken and self._loop.is_running():  # the broker limits how long it takes
            self._deadline = now + PATIENCE
        elif now > self._deadline:
            raise BrokerUnavailable(
                f"the event loop that dispatches took no work for {PATIENCE:g} s: it is blocked, "
                "or no longer runs"
            )


def _closed() -> TaskError:
    return TaskError("the event loop that dispatches is closed: its worker or program has ended")
