"""Shutdown requests of a worker: the first one drains it, the second one ends it at once."""

import asyncio
import logging
import signal
from collections.abc import Generator
from contextlib import contextmanager

from asynctasq.core.worker.signals import signals

logger = logging.getLogger("asynctasq.worker")


class Shutdown:
    """Two events: `requested` by the first request, `forced` by the second."""

    def __init__(self) -> None:
        self.requested = asyncio.Event()
        self.forced = asyncio.Event()

    def request(self, reason: str) -> None:
        """Requests the end; a second call forces it."""
        if self.requested.is_set():
            logger.info("%s again: not waiting for running tasks", reason)
            self.forced.set()
        else:
            logger.info("%s: finishing running tasks, starting no others", reason)
            self.requested.set()

    @contextmanager
    def on_signals(self) -> Generator[None, None, None]:
        """Requests the end on SIGTERM and SIGINT while this is entered.

        All workers of a process share the signals; the handlers are installed when the first
        worker enters on the main thread.
        """
        loop = asyncio.get_running_loop()

        def listener(number: signal.Signals) -> None:  # it may interrupt the loop anywhere
            loop.call_soon_threadsafe(self.request, number.name)

        with signals.received(listener):
            yield
