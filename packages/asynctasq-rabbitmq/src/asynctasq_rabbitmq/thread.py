"""A thread with an event loop of its own, and the way into it.

What keeps messages, heartbeats and leases, must go on when a task blocks the worker's event
loop. So a driver's connections live here, and its calls cross over, each as a whole.
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

#: Seconds in which the thread must have its event loop, and in which it must have ended.
START_LIMIT = 10.0
STOP_LIMIT = 3.0


class LoopThread:
    """Runs coroutines in its own thread until `stop`."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop
        self._ready: Future[None] = Future()
        self._is_given_up = False
        self._ended: Future[None] = Future()
        self._stop: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[object]] = set()
        self._thread = threading.Thread(target=self._run, name="asynctasq-rabbitmq", daemon=True)

    @classmethod
    async def start(cls) -> Self:
        """Start a thread; raises `BrokerUnavailable` if it gets no event loop within seconds."""
        thread = cls()
        try:
            thread._thread.start()
            async with asyncio.timeout(START_LIMIT):
                await asyncio.wrap_future(thread._ready)
        except asyncio.CancelledError:
            thread._give_up()
            raise
        except Exception as error:  # whatever the system, or the loop's own library, lacks
            thread._give_up()
            why = str(error) or f"no event loop within {START_LIMIT:.0f} seconds"
            raise BrokerUnavailable(f"cannot start the RabbitMQ driver's thread: {why}") from error
        return thread

    async def run(
        self,
        work: Callable[[], Coroutine[object, object, T]],
        *,
        undo: Callable[[T], None] | None = None,
    ) -> T:
        """The result of `work`, which runs in the thread.

        Cancelled, the work goes on to its end; but where there is an `undo` it is cancelled as
        well, and `undo` is called in the thread with a result that it had already.
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
                elif arrived.exception() is None:  # it had come when we were cancelled
                    self.call(undo, arrived.result())
            raise

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Call `function` in the thread soon, unless it has ended."""
        try:
            self.loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop is closed: there is nothing left to change
            return

    async def stop(self) -> None:
        """End the thread; what still runs there is cancelled."""
        if self._stop is not None:
            self.call(self._stop.set)
        await asyncio.wait([asyncio.wrap_future(self._ended)], timeout=STOP_LIMIT)
        if self._ended.done():
            self._thread.join()
        else:  # such as by a look-up of a name, which cannot be cancelled
            logger.warning("the thread of the RabbitMQ driver ends later: a call holds it up")

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                self.loop = runner.get_loop()
                runner.run(self._main())
        except Exception as error:  # there is no loop: `start` raises it
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
        if not self._is_given_up:
            await self._stop.wait()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _give_up(self) -> None:
        """End the thread as soon as it has a loop: nobody waits for it any more."""
        self._is_given_up = True
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
    """One call: its task in the thread, and the future that its caller waits for."""

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
        """Send what the work came to."""
        if task.cancelled():
            self.fail(BrokerUnavailable("the driver was disconnected"))
        elif (error := task.exception()) is not None:
            self.fail(error)
        else:
            self._send(self._set_result, task.result())

    def fail(self, error: BaseException) -> None:
        """Send an error."""
        self._send(self._set_error, error)

    def _send(self, function: Callable[..., object], value: object) -> None:
        try:
            self._caller.call_soon_threadsafe(function, value)
        except RuntimeError:  # the caller's loop has ended without waiting
            return

    def _set_result(self, result: T) -> None:
        if not self._arrived.cancelled():
            self._arrived.set_result(result)
        elif self._undo is not None:
            self._thread.call(self._undo, result)

    def _set_error(self, error: BaseException) -> None:
        if not self._arrived.cancelled():
            self._arrived.set_exception(error)
