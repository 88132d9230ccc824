"""Whether a worker is well, asked from another thread."""

import asyncio
import threading
import time
from contextlib import suppress

from asynctasq.core.worker import Worker

#: Seconds for which the event loop may be busy, or the broker away, before that is a problem.
LIMIT = 30.0
#: Seconds the event loop has to answer one question; a probe does not wait much longer.
PATIENCE = 0.5


class Health:
    """Tells what is wrong with a worker; made on its event loop, and asked by other threads."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._pulse = Pulse()

    def problem(self) -> str | None:
        """What is wrong, in one line; None when nothing is.

        - The worker does not run, or not yet.
        - Its event loop does not turn for `LIMIT` seconds, since it was first asked.
        - Its broker has not answered for `LIMIT` seconds, though it was asked.
        """
        status = self._worker.status()
        if status is None:
            return "the worker does not run"
        stuck = self._pulse.stuck()
        if stuck > LIMIT:
            return f"the event loop is blocked for {stuck:.0f} s"
        if status.broker_silence > LIMIT:
            return f"the broker does not answer for {status.broker_silence:.0f} s"
        return None


class Pulse:
    """Asks an event loop to turn, when somebody wants to know; idle, it costs nothing."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._asked = 0.0
        self._turned = threading.Event()
        self._turned.set()

    def stuck(self) -> float:
        """Seconds since the loop was asked and has not turned; 0 if it does."""
        with self._lock:
            if self._turned.is_set():
                self._turned.clear()
                self._asked = time.monotonic()
                with suppress(RuntimeError):  # it is closed: the answer never comes
                    self._loop.call_soon_threadsafe(self._turned.set)
            asked = self._asked
        return 0.0 if self._turned.wait(PATIENCE) else time.monotonic() - asked
