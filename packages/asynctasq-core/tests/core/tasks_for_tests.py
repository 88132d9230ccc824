"""Tasks that record their runs; imported by name, so that child processes find them."""

import asyncio
import os
import time
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from asynctasq import AsyncTask, SyncTask, TypeHook, current_context, task

ran: list[object] = []


@task
async def note(word: object) -> None:
    ran.append(word)


@task
def note_in_thread(word: object) -> None:
    ran.append(word)


@task(process=True)
def write(path: Path, word: str) -> None:
    context = current_context()
    with path.open("a") as file:
        file.write(f"{word} {context.attempt} {context.queue} {os.getpid()}\n")


@task(process=True)
async def write_async(path: Path, word: str) -> None:
    await asyncio.sleep(0)
    with path.open("a") as file:
        file.write(f"{word}\n")


@task(process=True, max_attempts=1)
def die() -> None:
    os._exit(7)


@task(process=True, max_attempts=1)
def raise_in_process() -> None:
    raise KeyError("from the child")


class Unpicklable(Exception):
    def __init__(self, one: object, two: object) -> None:
        super().__init__("cannot travel")


@task(process=True, max_attempts=1)
def raise_unpicklable() -> None:
    raise Unpicklable(1, 2)


@task(process=True)
def dispatch_from_process(word: str) -> None:
    note(word).dispatch_sync()


@task(timeout=0.2, max_attempts=1)
async def slow_async() -> None:
    await asyncio.sleep(60)


@task(timeout=0.2, max_attempts=1)
def slow_thread() -> None:
    time.sleep(1)


@task(process=True, timeout=0.5, max_attempts=1)
def slow_process() -> None:
    time.sleep(60)


@task(max_attempts=1)
async def raise_exit() -> None:
    raise SystemExit(3)


@task(max_attempts=1)
async def raise_cancelled() -> None:
    raise asyncio.CancelledError


@task(max_attempts=1)
async def raise_interrupt() -> None:
    raise KeyboardInterrupt


@task(max_attempts=2, retry_delay=0.7, retry_strategy="fixed")
async def fail_once_and_wait() -> None:
    attempt = current_context().attempt
    ran.append(attempt)
    if attempt < 2:
        raise ConnectionError


@task(max_attempts=3, retry_delay=0, retry_strategy="fixed")
async def fail_twice() -> None:
    attempt = current_context().attempt
    ran.append(attempt)
    if attempt < 3:
        raise ConnectionError


@task(max_attempts=5, retry_delay=0, give_up_on=(ValueError,))
async def give_up() -> None:
    ran.append("tried")
    raise ValueError("no use")


@task(max_attempts=5, retry_delay=0, retry_on=(OSError,))
async def retry_os_errors_only() -> None:
    ran.append("tried")
    raise RuntimeError("other")


@dataclass
class Hooked(AsyncTask[None]):
    message: str

    max_attempts = 3
    retry_delay = 0.0

    async def execute(self) -> None:
        ran.append(("execute", current_context().attempt))
        raise RuntimeError(self.message)

    def should_retry(self, exception: BaseException) -> bool:
        return str(exception) == "again"

    async def failed(self, exception: BaseException) -> None:
        ran.append(("failed", str(exception)))


class BrokenHooks(SyncTask[None]):
    max_attempts = 2
    retry_delay = 0.0

    def execute(self) -> None:
        ran.append("execute")
        raise RuntimeError("x")

    def should_retry(self, exception: BaseException) -> bool:
        raise LookupError("broken hook")

    def failed(self, exception: BaseException) -> None:
        raise LookupError("broken hook")


class Gate:
    """Holds tasks until it is opened, and counts those inside."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.opened = asyncio.Event()


gates: dict[str, Gate] = {}


@task
async def pass_gate(name: str) -> None:
    gate = gates[name]
    gate.inside += 1
    gate.most = max(gate.most, gate.inside)
    try:
        await gate.opened.wait()
    finally:
        gate.inside -= 1
    ran.append(name)


@task
async def block_loop(seconds: float) -> None:
    ran.append(current_context().worker_id)
    time.sleep(seconds)


@task
async def dispatch_more(word: str) -> None:
    await note(word).dispatch()


@task
def dispatch_more_in_thread(word: str) -> None:
    note(word).dispatch_sync()


@task
async def swallow_cancellation(name: str) -> None:
    """Go on after a cancellation, and end well once the gate is open."""
    gate = gates[name]
    gate.inside += 1
    while not gate.opened.is_set():
        try:
            await gate.opened.wait()
        except asyncio.CancelledError:
            ran.append("cancelled")
    gate.inside -= 1
    ran.append("ended")


@task(max_attempts=1)
async def turn_cancellation_into_an_error(name: str) -> None:
    gates[name].inside += 1
    try:
        await gates[name].opened.wait()
    except asyncio.CancelledError:
        raise RuntimeError("the cleanup failed") from None
    finally:
        gates[name].inside -= 1


@task(process=True)
def sleep_in_process(path: Path, seconds: float) -> None:
    path.write_text(str(os.getpid()))
    time.sleep(seconds)


@task
async def tell_context() -> None:
    ran.append(current_context())


@task
def tell_context_in_thread() -> None:
    ran.append(current_context())


@task(process=True)
async def report_context(path: Path) -> None:
    context = current_context()
    with path.open("a") as file:
        file.write(f"{context.id} {context.correlation_id}\n")


@task
async def dispatch_to_queue(queue: str) -> None:
    await tell_context().on_queue(queue).dispatch()


variable: ContextVar[str] = ContextVar("variable", default="unset")


@task
async def leave_context() -> None:
    ran.append(variable.get())
    variable.set("set")


@task(process=True)
def leave_context_in_process(path: Path) -> None:
    with path.open("a") as file:
        file.write(f"{variable.get()}\n")
    variable.set("set")


@task(max_attempts=1)
async def raise_long() -> None:
    raise ValueError("x" * 100_000 + "\ud800\0")


class Mute(Exception):
    def __str__(self) -> str:
        raise LookupError("no text")


@task(max_attempts=1)
async def raise_mute() -> None:
    raise Mute


@dataclass
class HookRaises(AsyncTask[None]):
    kind: str

    max_attempts = 2
    retry_delay = 0.0

    async def execute(self) -> None:
        ran.append("execute")
        raise RuntimeError

    def should_retry(self, exception: BaseException) -> bool:
        raise self.error()

    async def failed(self, exception: BaseException) -> None:
        ran.append("failed")
        raise self.error()

    def error(self) -> BaseException:
        return {"exit": SystemExit(1), "cancelled": asyncio.CancelledError()}[self.kind]


@dataclass
class HookHangs(AsyncTask[None]):
    max_attempts = 1
    timeout = 0.2

    async def execute(self) -> None:
        raise RuntimeError

    async def failed(self, exception: BaseException) -> None:
        ran.append("failed")
        await asyncio.sleep(60)


class Celsius(float):
    """A type of the application's own."""


def encode_celsius(value: Celsius) -> float:
    return float(value)


CELSIUS = TypeHook("celsius", Celsius, encode_celsius, Celsius)


@task(process=True)
def write_celsius(path: Path, value: object) -> None:
    path.write_text(repr(type(value)))
