"""Shares SIGTERM and SIGINT between all workers of a process and the application."""

import asyncio
import functools
import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from types import FrameType

NUMBERS = (signal.SIGTERM, signal.SIGINT)

Listener = Callable[[signal.Signals], None]
Handler = Callable[[int, FrameType | None], object] | int | None


class Signals:
    """Passes each signal to every listener, then to the application's own handler.

    Only the main thread can install handlers. It does so when the first listener enters there, and
    restores the previous handlers when the last listener of any thread leaves. A handler that other
    code installs in between stays in place. An exception of the application's handler, such as
    SystemExit, is raised when the last listener leaves.
    """

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()  # a handler may run between any two steps
        self._before: dict[int, list[Handler]] = {number: [] for number in NUMBERS}
        self._handling: set[int] = set()
        self._raised: BaseException | None = None
        self._main_loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.RLock()
        self._masks = threading.local()

    @contextmanager
    def received(self, listener: Listener) -> Generator[None, None, None]:
        """Calls `listener` for each signal while this is entered; needs a running loop."""
        self._add(listener)
        try:
            yield
        finally:
            self._remove(listener)

    def _add(self, listener: Listener) -> None:
        with self._lock:
            self._listeners = (*self._listeners, listener)
            if _on_main_thread():
                self._main_loop = asyncio.get_running_loop()
                self._install()

    def _remove(self, listener: Listener) -> None:
        with self._lock:
            self._listeners = tuple(each for each in self._listeners if each is not listener)
        if _on_main_thread():
            self._finish()
        elif self._main_loop is not None:
            with suppress(RuntimeError):  # it is closed; see `_handle_late`
                self._main_loop.call_soon_threadsafe(self._finish)

    def _install(self) -> None:
        for number in NUMBERS:
            handler = signal.getsignal(number)
            if handler != self._handle:
                self._before[number].append(handler)
                signal.signal(number, self._handle)

    def _finish(self) -> None:
        """Restores the previous handlers if no listener is left."""
        with self._lock:
            if self._listeners:
                return
            for number in NUMBERS:
                if signal.getsignal(number) == self._handle:
                    signal.signal(number, self._take_before(number))
            raised, self._raised, self._main_loop = self._raised, None, None
        if raised is not None:
            raise raised

    def _take_before(self, number: int) -> Handler:
        before = self._before[number].pop() if self._before[number] else None
        # None: it was not installed from Python, so Python cannot restore it
        return signal.SIG_DFL if before is None else before

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._listeners:
            return self._handle_late(number, frame)
        if number in self._handling:  # the application's handler calls this one, and vice versa
            return None
        self._handling.add(number)
        try:
            for listener in self._listeners:
                with suppress(RuntimeError):  # its loop is closed
                    listener(signal.Signals(number))
            self._call_before(number, frame)
        finally:
            self._handling.discard(number)
        return None

    def _call_before(self, number: int, frame: FrameType | None) -> None:
        before = self._before[number][-1] if self._before[number] else None
        if not callable(before) or before == signal.default_int_handler or _is_runners(before):
            return
        try:
            before(number, frame)
        except BaseException as error:  # noqa: BLE001 - raised here it would hit any task; `_finish` raises it
            self._raised = error

    def _handle_late(self, number: int, frame: FrameType | None) -> None:
        """Acts as the previous handler: other code restored this handler too late, or calls it."""
        if signal.getsignal(number) == self._handle:
            signal.signal(number, self._take_before(number))
            signal.raise_signal(number)
        elif self._before[number] and callable(before := self._before[number][-1]):
            before(number, frame)

    def before_fork(self) -> None:
        """Blocks the signals: a child must not receive any before it has the previous handlers."""
        if any(signal.getsignal(number) == self._handle for number in NUMBERS):
            self._masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)

    def after_fork(self) -> None:
        """Unblocks the signals."""
        mask = self._masks.__dict__.pop("before", None)
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def after_fork_in_child(self) -> None:
        """Restores the previous handlers: the listeners belong to the parent."""
        self._lock = threading.RLock()
        self._listeners, self._raised, self._main_loop = (), None, None
        self._handling.clear()
        for number in NUMBERS:
            if signal.getsignal(number) == self._handle:
                before = self._take_before(number)
                signal.signal(number, signal.default_int_handler if _is_runners(before) else before)
        if "before" in self._masks.__dict__:
            signal.set_wakeup_fd(-1)  # the descriptor belongs to the parent's loop
        self.after_fork()


def _on_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _is_runners(handler: Handler) -> bool:
    """Whether it is `asyncio.Runner`'s handler, which would cancel the program's main task."""
    if not isinstance(handler, functools.partial):
        return False
    return isinstance(getattr(handler.func, "__self__", None), asyncio.Runner)


#: The signals of this process.
signals = Signals()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=signals.before_fork,
        after_in_parent=signals.after_fork,
        after_in_child=signals.after_fork_in_child,
    )
