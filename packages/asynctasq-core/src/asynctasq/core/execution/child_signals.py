"""Leaves signals of a child process to the parent, and ends the child when the parent dies."""

import os
import signal
import sys
import threading
from multiprocessing import connection, parent_process
from types import FrameType

#: Seconds between checks of the parent: a process that it forked may keep its descriptors open.
LOOK_FOR_PARENT = 5.0

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def leave_signals_to_the_parent() -> None:
    """Disables SIGTERM and SIGINT: they reach the whole process group, and the parent decides.

    It installs a handler, because an ignored signal stays ignored in programs that tasks start.
    Processes that tasks fork get Python's own handlers back, so that they can be terminated.
    """
    for number in SIGNALS:
        signal.signal(number, _do_nothing)
    if sys.platform != "win32":
        os.register_at_fork(
            before=_hold_signals,
            after_in_parent=_release_signals,
            after_in_child=_restore_signals,
        )


class _Held(threading.local):
    """The signal mask of a thread before it forked."""

    mask: set[int] | None = None


_held = _Held()


def _hold_signals() -> None:
    """Blocks signals while forking: a signal before `_restore_signals` would be lost."""
    _held.mask = set(signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS))


def _release_signals() -> None:
    if _held.mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _held.mask)
        _held.mask = None


def _restore_signals() -> None:
    defaults = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    for number, handler in defaults.items():
        if signal.getsignal(number) is _do_nothing:
            signal.signal(number, handler)
    _release_signals()


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    pass


def end_with_the_parent() -> None:
    """Starts a thread that ends this process when its parent is dead."""
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is None:
        return
    while not connection.wait([parent.sentinel], timeout=LOOK_FOR_PARENT):
        if sys.platform != "win32" and os.getppid() != parent.pid:
            break
    os._exit(1)  # no process takes the result, and another worker runs the call
