"""Threads for synchronous tasks."""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
Job = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class TaskThreads:
    """One thread for each concurrent call; idle threads are reused, last in, first out.

    They are daemons: a thread whose task timed out must neither occupy a slot nor keep the process
    from exiting, as it would with `concurrent.futures`.
    """

    def __init__(self) -> None:
        self._idle: list[queue.SimpleQueue[Job | None]] = []
        self._closed = False

    async def run(self, function: Callable[[], T]) -> T:
        """Calls `function` in a thread. If this is cancelled, the thread keeps running."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        inbox = self._idle.pop() if self._idle else self._start(loop)
        inbox.put((function, future))
        return await future

    def close(self) -> None:
        """Ends the threads, each as soon as it is idle."""
        self._closed = True
        while self._idle:
            self._idle.pop().put(None)

    def _start(self, loop: asyncio.AbstractEventLoop) -> "queue.SimpleQueue[Job | None]":
        inbox: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        threading.Thread(
            target=self._work, args=(loop, inbox), name="asynctasq-task", daemon=True
        ).start()
        return inbox

    def _work(
        self, loop: asyncio.AbstractEventLoop, inbox: "queue.SimpleQueue[Job | None]"
    ) -> None:
        while (job := inbox.get()) is not None:
            function, future = job
            result, error = None, None
            try:
                result = function()
            except BaseException as caught:  # noqa: BLE001 - raised again in the caller
                error = caught
            del function, job
            try:
                loop.call_soon_threadsafe(self._finish, inbox, future, result, error)
            except RuntimeError:  # the loop ended before the task did
                return

    def _finish(
        self,
        inbox: "queue.SimpleQueue[Job | None]",
        future: "asyncio.Future[Any]",
        result: object,
        error: BaseException | None,
    ) -> None:
        if self._closed:
            inbox.put(None)
        else:
            self._idle.append(inbox)
        if future.done():  # the caller was cancelled
            return
        if error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration | GeneratorExit):
            # a future refuses StopIteration; GeneratorExit would close the waiting coroutines
            future.set_exception(RuntimeError(f"the task raised {error!r}"))
        else:
            future.set_exception(error)
