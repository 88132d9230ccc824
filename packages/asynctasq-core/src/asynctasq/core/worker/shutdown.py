"""How a worker is asked to stop: once for an orderly end, twice for a quick one."""

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
        """Ask for the end; asked again, ask for it at once."""
        if self.requested.is_set():
            logger.info("%s again: not waiting for running tasks", reason)
            self.forced.set()
        else:
            logger.info("%s: finishing what runs, taking nothing new", reason)
            self.requested.set()

    @contextmanager
    def on_signals(self) -> Generator[None, None, None]:
        """Request the end on SIGTERM and SIGINT while this is entered.

        All workers of a process share the signals; the handlers are installed when the first
        worker enters on the main thread.
        """
        loop = asyncio.get_running_loop()

        def ask(number: signal.Signals) -> None:  # it may interrupt the loop anywhere
            loop.call_soon_threadsafe(self.request, number.name)

        with signals.received(ask):
            yield
