"""A thread with its own event loop, and calls into it.

Heartbeats and leases must go on when a task blocks the worker's event loop. So the connections of a
driver live in this thread, and each call of the driver crosses into it as a whole.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Generic, Self, TypeVar

from asynctasq.errors import BrokerUnavailable

T = TypeVar("T")

logger = logging.getLogger("asynctasq.rabbitmq")

#: Seconds for the thread to start its event loop, and to end.
START_LIMIT = 10.0
STOP_LIMIT = 3.0


class LoopThread:
    """Runs coroutines in its own thread until `stop`."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop
        self._ready: Future[None] = Future()
        self._is_abandoned = False
        self._ended: Future[None] = Future()
        self._stop: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[object]] = set()
        self._thread = threading.Thread(target=self._run, name="asynctasq-rabbitmq", daemon=True)

    @classmethod
    async def start(cls) -> Self:
        """Start a thread; raise `BrokerUnavailable` if it has no event loop within seconds."""
        thread = cls()
        try:
            thread._thread.start()
            async with asyncio.timeout(START_LIMIT):
                await asyncio.wrap_future(thread._ready)
        except asyncio.CancelledError:
            thread._abandon()
            raise
        except Exception as error:  # the system and the loop's library raise errors of any kind
            thread._abandon()
            reason = str(error) or f"no event loop within {START_LIMIT:.0f} seconds"
            raise BrokerUnavailable(
                f"cannot start the RabbitMQ driver's thread: {reason}"
            ) from error
        return thread

    async def run(
        self,
        work: Callable[[], Coroutine[object, object, T]],
        *,
        undo: Callable[[T], None] | None = None,
    ) -> T:
        """Run `work` in the thread and return its result.

        When the caller is cancelled, the work continues to its end; with an `undo` it is cancelled
        as well, and a result that it already has goes to `undo`, in the thread.
        """
        caller = asyncio.get_running_loop()
        arrived: asyncio.Future[T] = caller.create_future()
        crossing = _Crossing(self, caller, arrived, undo)
        try:
            self.loop.call_soon_threadsafe(self._start, work, crossing)
        except RuntimeError:
            raise BrokerUnavailable("the driver was disconnected") from None
        try:
            return await arrived
        except asyncio.CancelledError:
            if undo is not None:
                if arrived.cancelled():
                    self.call(crossing.cancel)
                elif arrived.exception() is None:  # the result had arrived before the cancellation
                    self.call(undo, arrived.result())
            raise

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Call `function` in the thread soon, unless it has ended."""
        try:
            self.loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop is closed, and its state is gone
            return

    async def stop(self) -> None:
        """End the thread; work that still runs there is cancelled."""
        if self._stop is not None:
            self.call(self._stop.set)
        await asyncio.wait([asyncio.wrap_future(self._ended)], timeout=STOP_LIMIT)
        if self._ended.done():
            self._thread.join()
        else:  # for example a DNS lookup, which cannot be cancelled
            logger.warning(
                "the thread of the RabbitMQ driver is still blocked by a call and ends later"
            )

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                self.loop = runner.get_loop()
                runner.run(self._main())
        except Exception as error:  # there is no loop; `start` raises the error
            if self._ready.done() or not self._ready.set_running_or_notify_cancel():
                raise
            self._ready.set_exception(error)
        finally:
            self._ended.set_result(None)

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        if not self._ready.set_running_or_notify_cancel():
            return
        self._ready.set_result(None)
        if not self._is_abandoned:
            await self._stop.wait()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _abandon(self) -> None:
        """End the thread as soon as it has a loop: `start` no longer waits for it."""
        self._is_abandoned = True
        if self._stop is not None:
            self.call(self._stop.set)

    def _start(
        self, work: Callable[[], Coroutine[object, object, T]], crossing: "_Crossing[T]"
    ) -> None:
        if self._stop is not None and self._stop.is_set():
            crossing.fail(BrokerUnavailable("the driver was disconnected"))
            return
        task = crossing.task = self.loop.create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(crossing.ended)


class _Crossing(Generic[T]):
    """One call: its task in the thread, and the future awaited by its caller."""

    def __init__(
        self,
        thread: LoopThread,
        caller: asyncio.AbstractEventLoop,
        arrived: asyncio.Future[T],
        undo: Callable[[T], None] | None,
    ) -> None:
        self.task: asyncio.Task[T] | None = None
        self._thread = thread
        self._caller = caller
        self._arrived = arrived
        self._undo = undo

    def cancel(self) -> None:
        """Cancel the work."""
        if self.task is not None:
            self.task.cancel()

    def ended(self, task: asyncio.Task[T]) -> None:
        """Send the result of the work to the caller."""
        if task.cancelled():
            self.fail(BrokerUnavailable("the driver was disconnected"))
        elif (error := task.exception()) is not None:
            self.fail(error)
        else:
            self._send(self._set_result, task.result())

    def fail(self, error: BaseException) -> None:
        """Send an error to the caller."""
        self._send(self._set_error, error)

    def _send(self, function: Callable[..., object], value: object) -> None:
        try:
            self._caller.call_soon_threadsafe(function, value)
        except RuntimeError:  # the caller's loop is closed
            return

    def _set_result(self, result: T) -> None:
        if not self._arrived.cancelled():
            self._arrived.set_result(result)
        elif self._undo is not None:
            self._thread.call(self._undo, result)

    def _set_error(self, error: BaseException) -> None:
        if not self._arrived.cancelled():
            self._arrived.set_exception(error)
