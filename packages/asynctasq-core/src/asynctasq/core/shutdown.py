"""How a worker is asked to stop: once for an orderly end, twice for a quick one."""

import asyncio
import logging
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

logger = logging.getLogger("asynctasq.worker")

SIGNALS = (signal.SIGTERM, signal.SIGINT)


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
        """Let SIGTERM and SIGINT ask, while this is entered on the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        before = {number: signal.getsignal(number) for number in SIGNALS}
        for number in SIGNALS:
            self._listen(loop, number)
        try:
            yield
        finally:
            for number, handler in before.items():
                # None: it was not installed from Python, so Python cannot put it back
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _listen(self, loop: asyncio.AbstractEventLoop, number: signal.Signals) -> None:
        def ask() -> None:
            self.request(number.name)

        def handle(_number: int, _frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(ask)  # it may have interrupted the loop anywhere

        # unlike the loop's add_signal_handler, this works on Windows, and can be undone
        signal.signal(number, handle)
