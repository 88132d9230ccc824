"""A thread with an event loop, for calls from synchronous code."""

import asyncio
import concurrent.futures
import socket
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Any, TypeVar

from asynctasq.core.producer.handover import Handover
from asynctasq.errors import BrokerUnavailable

T = TypeVar("T")

#: Seconds in which the thread begins to run its loop.
START_LIMIT = 10.0
#: Seconds that it may take to disconnect.
CLOSE_LIMIT = 12.0


class Portal:
    """Runs coroutines on an event loop in a thread of its own.

    Raises:
        BrokerUnavailable: the process cannot have another thread or event loop just now.
    """

    def __init__(self) -> None:
        if sys.is_finalizing():  # a thread would never begin
            raise BrokerUnavailable("dispatch_sync() came after the end of the program")
        started: concurrent.futures.Future[None] = concurrent.futures.Future()
        try:
            self._loop = _new_loop()
            self._thread = threading.Thread(
                target=self._serve, args=(started,), name="asynctasq-dispatch", daemon=True
            )
            self._start(started)
        except (OSError, RuntimeError, TimeoutError) as error:
            raise BrokerUnavailable(
                f"dispatch_sync() needs a thread with an event loop, which cannot start: {error}"
            ) from error

    def run(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Runs a coroutine on this thread's loop and waits for it."""
        return Handover(make, self._loop).wait()

    def close(self, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Runs a last coroutine, and ends the thread."""
        last = asyncio.run_coroutine_threadsafe(make(), self._loop)
        concurrent.futures.wait([last], timeout=CLOSE_LIMIT)
        self._stop()
        if last.done():
            last.result()

    def _start(self, started: "concurrent.futures.Future[None]") -> None:
        try:
            self._thread.start()
            started.result(START_LIMIT)
        except BaseException:  # undone, and raised again
            self._stop()
            raise

    def _serve(self, started: "concurrent.futures.Future[None]") -> None:
        try:
            self._loop.call_soon(started.set_result, None)
            self._loop.run_forever()
        except BaseException as error:  # raised in the thread that waits
            if started.done():
                raise
            started.set_exception(error)

    def _stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=5)
        if not self._thread.is_alive():
            self._loop.close()


def _new_loop() -> asyncio.AbstractEventLoop:
    """A new event loop; asyncio leaves tracebacks behind if file descriptors run out half-way."""
    with ExitStack() as sockets:
        for end in (*socket.socketpair(), *socket.socketpair()):
            sockets.enter_context(end)
    return asyncio.new_event_loop()
