"""Wakes waiting dequeues of this process: drivers on one file share their waiters."""

import asyncio
import os
import threading
from pathlib import Path
from weakref import WeakValueDictionary


class Waiters:
    """Events on their loops, set when a message may have become deliverable."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loops: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    def add(self, event: asyncio.Event) -> None:
        """Set `event`, on the running loop, at every `wake` until `remove`."""
        with self._lock:
            self._loops[event] = asyncio.get_running_loop()

    def remove(self, event: asyncio.Event) -> None:
        """Stop setting `event`."""
        with self._lock:
            self._loops.pop(event, None)

    def wake(self) -> None:
        """Set all events; from any thread."""
        with self._lock:
            for event, loop in list(self._loops.items()):
                try:
                    loop.call_soon_threadsafe(event.set)
                except RuntimeError:  # its loop was closed in the middle of a wait
                    del self._loops[event]


_lock = threading.Lock()
_by_file: WeakValueDictionary[tuple[int, str], Waiters] = WeakValueDictionary()


def waiters_of(path: Path) -> Waiters:
    """Return the waiters of a file. A forked process has its own: its parent's loops are gone."""
    key = os.getpid(), os.path.realpath(path)
    with _lock:
        waiters = _by_file.get(key)
        if waiters is None:
            waiters = _by_file[key] = Waiters()
        return waiters
