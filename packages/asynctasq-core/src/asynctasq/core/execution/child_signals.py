"""Signals in a child process, which the parent answers for, and the end of that parent."""

import os
import signal
import sys
import threading
from multiprocessing import connection, parent_process
from types import FrameType

#: Seconds between checks that the parent lives: a process it forked may hold its descriptors open.
LOOK_FOR_PARENT = 5.0

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def leave_signals_to_the_parent() -> None:
    """Ctrl+C and a supervisor's SIGTERM reach the whole process group; the parent decides.

    They have a handler, because an ignored signal stays ignored in the programs that tasks start.
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
    """The signals that were blocked before a thread forked."""

    mask: set[int] | None = None


_held = _Held()


def _hold_signals() -> None:
    """Block signals while forking: one that arrives before `_restore_signals` would be lost."""
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
    """End this process when its parent is dead, from a thread that lives as long as the process."""
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is None:
        return
    while not connection.wait([parent.sentinel], timeout=LOOK_FOR_PARENT):
        if sys.platform != "win32" and os.getppid() != parent.pid:
            break
    os._exit(1)  # nobody takes the result, and the call runs elsewhere
