"""Wakes waiting dequeues of this process when any driver in it stores a message in their table."""

import asyncio
import os
import threading
from collections.abc import Collection, Generator
from contextlib import contextmanager
from weakref import WeakValueDictionary


class Waiters:
    """The events of waiting dequeues, each with its event loop and its queues."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[asyncio.Event, tuple[asyncio.AbstractEventLoop, frozenset[str]]] = {}

    @contextmanager
    def watch(self, queues: Collection[str]) -> Generator[asyncio.Event]:
        """Yield an event of the running loop that `wake` sets for `queues`, within the block."""
        event = asyncio.Event()
        with self._lock:
            self._waiting[event] = asyncio.get_running_loop(), frozenset(queues)
        try:
            yield event
        finally:
            with self._lock:
                self._waiting.pop(event, None)

    def wake(self, queues: Collection[str]) -> None:
        """Wake the dequeues that wait for one of `queues`; safe to call from any thread."""
        with self._lock:
            for event, (loop, wanted) in list(self._waiting.items()):
                if wanted.isdisjoint(queues):
                    continue
                try:
                    loop.call_soon_threadsafe(event.set)
                except RuntimeError:  # its loop was closed during the wait
                    del self._waiting[event]


_lock = threading.Lock()
_by_table: WeakValueDictionary[tuple[int, str, str], Waiters] = WeakValueDictionary()


def waiters_of(location: str, table: str) -> Waiters:
    """Return a table's waiters in this process; a parent's event loops do not survive a fork."""
    key = os.getpid(), location, table
    with _lock:
        waiters = _by_table.get(key)
        if waiters is None:
            waiters = _by_table[key] = Waiters()
        return waiters
