"""Tasks that kill their process, and harmless ones; imported by name in child processes."""

import asyncio
import enum
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from asynctasq import AsyncTask, SyncTask, TypeHook, current_context, task


def tell(path: Path, word: str) -> None:
    with path.open("a") as file:
        file.write(f"{word} {os.getpid()}\n")


@task(max_attempts=2)
async def on_loop(path: Path) -> None:
    await asyncio.sleep(0)
    tell(path, "loop")


@task(max_attempts=2)
def in_thread(path: Path) -> None:
    tell(path, "thread")


@task(max_attempts=2, process=True)
def in_process(path: Path) -> None:
    tell(path, "process")


@task(max_attempts=2, name="suspects: of another name")
def named(path: Path) -> None:
    tell(path, "named")


@task(max_attempts=2)
async def tell_context(path: Path) -> None:
    tell(path, repr(current_context()))


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@task(max_attempts=2)
async def kill_on_loop() -> None:
    _kill()


@task(max_attempts=2)
def kill_in_thread() -> None:
    _kill()


@task(max_attempts=2, process=True)
def kill_in_process() -> None:
    _kill()


@task(max_attempts=2)
async def wait_async(path: Path) -> None:
    tell(path, "waits")
    await asyncio.sleep(60)


@task(max_attempts=2)
def wait(path: Path) -> None:
    tell(path, "waits")
    time.sleep(60)


@task(max_attempts=2)
def wait_for(path: Path, go: Path) -> None:
    tell(path, "waits")
    while not go.exists():
        time.sleep(0.01)


@task(max_attempts=2)
async def fail(path: Path) -> None:
    tell(path, "fails")
    raise ValueError("itself")


@task(max_attempts=2)
async def tell_score(path: Path) -> None:
    with open("/proc/self/oom_score_adj") as file:  # noqa: ASYNC230
        tell(path, file.read().strip())


@task(max_attempts=2)
async def tell_niceness(path: Path) -> None:
    tell(path, str(os.getpriority(os.PRIO_PROCESS, 0)))


@task(max_attempts=2)
async def fork() -> None:
    if os.fork() == 0:
        return
    raise ValueError("the original")


@dataclass
class Hooked(AsyncTask[None]):
    path: Path
    end: str
    hook_end: str

    max_attempts = 2

    async def execute(self) -> None:
        tell(self.path, "execute")
        finish(self.end)

    async def failed(self, exception: BaseException) -> None:
        tell(self.path, f"failed:{type(exception).__name__}:{current_context().attempt}")
        finish(self.hook_end)


@dataclass
class HookedSync(SyncTask[None]):
    path: Path
    end: str
    hook_end: str

    max_attempts = 2

    def execute(self) -> None:
        tell(self.path, "execute")
        finish(self.end)

    def failed(self, exception: BaseException) -> None:
        tell(self.path, f"failed:{type(exception).__name__}:{current_context().attempt}")
        finish(self.hook_end)


def finish(how: str) -> None:
    if how == "fail":
        raise ValueError("itself")
    if how == "kill":
        _kill()
    if how == "wait":
        time.sleep(60)


class Bomb:
    """A value whose type hook does not survive reading it."""


def encode_bomb(_value: Bomb) -> str:
    return "bomb"


def read_bomb(_value: object) -> Bomb:
    os.abort()


BOMB = TypeHook("bomb", Bomb, encode_bomb, read_bomb)


class Hue(enum.Enum):
    RED = 1


@task(max_attempts=2)
async def take(value: object) -> None: ...
