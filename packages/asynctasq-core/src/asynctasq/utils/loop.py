"""`run`: runs a program's coroutine on the fastest event loop."""

import asyncio
import functools
import logging
import signal
import sys
import threading
from collections.abc import Awaitable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

T = TypeVar("T")
Loop = asyncio.AbstractEventLoop

logger = logging.getLogger("asynctasq.worker")

#: The number of workers on each loop.
_workers: WeakKeyDictionary[Loop, int] = WeakKeyDictionary()


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """Run `main` to its end on a new event loop, uvloop's where it is installed.

    Connections that the program opened through AsyncTasQ are closed when it ends. While a worker
    runs, a SystemExit or KeyboardInterrupt in a child task of an attempt fails that attempt, and
    does not end the program as it does with ``asyncio.run``.
    """
    with asyncio.Runner(debug=debug, loop_factory=_new_loop) as runner:
        return runner.run(main)


@contextmanager
def survives_exits_of_tasks() -> Generator[None, None, None]:
    """Keep a loop of `run` running, while entered, when a task raises SystemExit."""
    loop = asyncio.get_running_loop()
    _workers[loop] = _workers.get(loop, 0) + 1
    try:
        yield
    finally:
        _workers[loop] -= 1


class _Resuming(Loop):
    """Resumes after SystemExit or KeyboardInterrupt in a task other than the main one.

    asyncio stores these in the task that raised them, as any exception, and also stops the loop.
    """

    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        main = asyncio.ensure_future(cast("Awaitable[T]", future), loop=self)
        while True:
            try:
                return super().run_until_complete(main)  # pyright: ignore[reportAbstractUsage] - the next base's
            except (SystemExit, KeyboardInterrupt) as error:
                if main.done() or not _workers.get(self) or _is_from_signal(error):
                    raise
                logger.warning("%r in a child task or a callback: the worker goes on", error)


def _new_loop() -> Loop:
    return _loop_type()()


@functools.cache
def _loop_type() -> type[Loop]:
    base = _fastest_loop_type()
    name, module = base.__name__, base.__module__  # some libraries detect uvloop by these
    return cast("type[Loop]", type(name, (_Resuming, base), {"__module__": module}))


def _fastest_loop_type() -> type[Loop]:
    if sys.platform == "win32":
        return asyncio.ProactorEventLoop
    try:
        import uvloop
    except ImportError:  # no wheel for this interpreter
        return asyncio.SelectorEventLoop
    return uvloop.Loop


def _is_from_signal(error: BaseException) -> bool:
    """Whether a signal handler raised the error, so that it must end the program."""
    if threading.current_thread() is not threading.main_thread():
        return False
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_default and isinstance(error, KeyboardInterrupt):  # the default handler has no frame
        return True
    handlers = {_code_of(signal.getsignal(number)) for number in signal.valid_signals()}
    return any(code in handlers for code in _codes(error))


def _codes(error: BaseException) -> Iterator[CodeType]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame.f_code
        trace = trace.tb_next


def _code_of(handler: object) -> CodeType | None:
    while isinstance(handler, functools.partial):
        handler = cast("functools.partial[object]", handler).func
    code: object = getattr(handler, "__code__", None)
    if code is None and callable(handler):
        code = getattr(handler.__call__, "__code__", None)
    return code if isinstance(code, CodeType) else None
