"""Tasks that damage their own process; imported by name in child processes."""

import asyncio
import contextlib
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from asynctasq import AsyncTask, SyncTask, task


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@task(process=True, max_attempts=1)
def tell_pid(path: Path) -> None:
    with path.open("a") as file:
        file.write(f"{os.getpid()}\n")


@task(process=True, max_attempts=1)
def fail(word: str) -> None:
    raise ValueError(word)


def _fork(how: str) -> int:
    if how == "foreign":  # a library's own: none of Python's hooks run
        return ctypes.PyDLL(None).fork()
    return os.fork()


@task(process=True, max_attempts=1)
def fork(go: Path, gone: Path, how: str, leave: str) -> None:
    """Fork, and let the copy leave as `leave` says once `go` exists."""
    pid = _fork(how)
    if pid == 0:
        wait_for(go)
        leave_as(leave)
        return
    watch = threading.Thread(target=_watch, args=(pid, gone), daemon=True)
    watch.start()


@task(process=True, max_attempts=1)
async def fork_async(go: Path, gone: Path, how: str, leave: str) -> None:
    fork.function(go, gone, how, leave)


def leave_as(how: str) -> None:
    if how == "exit":
        sys.exit(3)
    if how == "raise":
        raise ValueError("from the copy")


def _watch(pid: int, gone: Path) -> None:
    _, status = os.waitpid(pid, 0)
    gone.with_suffix(".new").write_text(str(os.waitstatus_to_exitcode(status)))
    gone.with_suffix(".new").rename(gone)


@task(process=True, max_attempts=1)
def die_with_heir(end: Path) -> None:
    """Die, while a forked copy holds all descriptors."""
    if _fork("foreign") == 0:
        wait_for(end)
        os._exit(0)
    os._exit(7)


def descriptors() -> list[int]:
    return [int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2]


def write_everywhere(data: bytes) -> None:
    for number in descriptors():
        with contextlib.suppress(OSError):
            os.set_blocking(number, False)
            os.write(number, data)
        with contextlib.suppress(OSError):
            os.set_blocking(number, True)


@task(process=True, max_attempts=1)
def write_garbage(data: bytes) -> None:
    write_everywhere(data)


@task(process=True, max_attempts=1)
def write_garbage_later(go: Path, written: Path) -> None:
    def write() -> None:
        wait_for(go)
        write_everywhere(b"garbage")
        written.touch()

    threading.Thread(target=write, daemon=True).start()


@task(process=True, max_attempts=1)
def close_descriptors(path: Path, then: str) -> None:
    os.closerange(3, 200)
    if then == "reopen":
        with path.open("w"):
            for _ in range(50):
                os.dup(os.open(path, os.O_RDWR))
    if then == "sleep":
        time.sleep(60)


class Odd(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@task(process=True, max_attempts=3, retry_delay=0, retry_on=(Odd,))
def raise_odd(path: Path) -> None:
    tell_pid.function(path)
    raise Odd(503, "odd")


EXITS: dict[str, Callable[[], BaseException]] = {
    "SystemExit": lambda: SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "CancelledError": asyncio.CancelledError,
    "StopIteration": lambda: StopIteration(1),
}


@task(process=True, max_attempts=1)
def leave(how: str) -> None:
    raise EXITS[how]()


@task(process=True, max_attempts=1)
async def leave_async(how: str) -> None:
    await asyncio.sleep(0)
    raise EXITS[how]()


async def _raise(how: str) -> None:
    await asyncio.sleep(0)
    raise EXITS[how]()


@task(process=True, max_attempts=1)
async def leave_in_subtask(how: str) -> None:
    subtask = asyncio.create_task(_raise(how))
    await asyncio.sleep(0.01)
    await subtask


@task(max_attempts=1)
async def leave_on_loop(how: str) -> None:
    raise EXITS[how]()


@task(max_attempts=1)
def leave_in_thread(how: str) -> None:
    raise EXITS[how]()


@dataclass
class LeavesInHook(AsyncTask[None]):
    how: str
    max_attempts = 1

    async def execute(self) -> None:
        raise ValueError("first")

    async def failed(self, exception: BaseException) -> None:
        raise EXITS[self.how]()


@dataclass
class LeavesInSyncHook(SyncTask[None]):
    how: str
    max_attempts = 1

    def execute(self) -> None:
        raise ValueError("first")

    def failed(self, exception: BaseException) -> None:
        raise EXITS[self.how]()


@task(process=True, max_attempts=1)
def terminate_program(path: Path) -> None:
    program = subprocess.Popen(["sleep", "60"])
    program.terminate()
    path.write_text(str(program.wait(timeout=30)))


@task(process=True, max_attempts=1)
def terminate_process(path: Path, method: str, number: int) -> None:
    process = multiprocessing.get_context(method).Process(target=time.sleep, args=(60,))
    process.start()
    while method != "fork" and not _runs_python(process.pid or 0):
        time.sleep(0.01)
    os.kill(process.pid or 0, number)
    process.join(timeout=30)
    path.write_text(str(process.exitcode))
    process.kill()


def _runs_python(pid: int) -> bool:
    return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()


@task(process=True, max_attempts=1)
def use_processes(path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        squares = pool.map(abs, [-1, -2])
    with ProcessPoolExecutor(1) as executor:
        squares.append(executor.submit(abs, -3).result())
    path.write_text(str(squares))


@task(process=True, max_attempts=1)
def survive_signals(path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(os.getpid(), number)
    path.write_text("here")


def never_get_ready() -> None:
    time.sleep(60)


def fail_at_start() -> None:
    raise ValueError("no start")
