"""Who waits for news of a table in this process: drivers on one table wake each other at once."""

import asyncio
import os
import threading
from collections.abc import Collection, Generator
from contextlib import contextmanager
from weakref import WeakValueDictionary


class Waiters:
    """Events on their loops, set whenever there may be something to take from their queues."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[asyncio.Event, tuple[asyncio.AbstractEventLoop, frozenset[str]]] = {}

    @contextmanager
    def watch(self, queues: Collection[str]) -> Generator[asyncio.Event]:
        """An event of the running loop that is set at news of `queues`, in the block."""
        event = asyncio.Event()
        with self._lock:
            self._waiting[event] = asyncio.get_running_loop(), frozenset(queues)
        try:
            yield event
        finally:
            with self._lock:
                self._waiting.pop(event, None)

    def wake(self, queues: Collection[str]) -> None:
        """Tell those who wait for one of `queues`; from any thread."""
        with self._lock:
            for event, (loop, wanted) in list(self._waiting.items()):
                if wanted.isdisjoint(queues):
                    continue
                try:
                    loop.call_soon_threadsafe(event.set)
                except RuntimeError:  # its loop was closed in the middle of a wait
                    del self._waiting[event]


_lock = threading.Lock()
_by_table: WeakValueDictionary[tuple[int, str, str], Waiters] = WeakValueDictionary()


def waiters_of(location: str, table: str) -> Waiters:
    """Those who wait for this table. A forked process has its own: its parent's loops are gone."""
    key = os.getpid(), location, table
    with _lock:
        waiters = _by_table.get(key)
        if waiters is None:
            waiters = _by_table[key] = Waiters()
        return waiters
