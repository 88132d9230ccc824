"""The health of a worker, checked from another thread."""

import asyncio
import threading
import time
from contextlib import suppress

from asynctasq.core.worker import Worker

#: Seconds for which the event loop may be blocked, or the broker away, in a healthy worker.
LIMIT = 30.0
#: Seconds the event loop has to respond to one check; a probe does not wait much longer.
PATIENCE = 0.5


class Health:
    """Detects problems of a worker; created on its event loop, used by other threads."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._pulse = Pulse()

    def problem(self) -> str | None:
        """Return the problem in one line, or None.

        - The worker does not run, or not yet.
        - Its event loop has been blocked for `LIMIT` seconds, counted from the first check.
        - Calls to its broker have failed for `LIMIT` seconds.
        """
        status = self._worker.status()
        if status is None:
            return "the worker does not run"
        stuck = self._pulse.stuck()
        if stuck > LIMIT:
            return f"the event loop has been blocked for {stuck:.0f} s"
        if status.broker_silence > LIMIT:
            return f"the broker has not answered for {status.broker_silence:.0f} s"
        return None


class Pulse:
    """Detects a blocked event loop; does nothing between two checks."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._asked = 0.0
        self._turned = threading.Event()
        self._turned.set()

    def stuck(self) -> float:
        """Return the seconds since a check to which the loop has not responded; 0 if it does."""
        with self._lock:
            if self._turned.is_set():
                self._turned.clear()
                self._asked = time.monotonic()
                with suppress(RuntimeError):  # the loop is closed, and never responds
                    self._loop.call_soon_threadsafe(self._turned.set)
            asked = self._asked
        return 0.0 if self._turned.wait(PATIENCE) else time.monotonic() - asked
