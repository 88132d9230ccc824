"""An application under test: a directory with tasks, and worker processes."""

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from asynctasq import BaseDriver, Config, DriverFactory
from asynctasq.drivers import Message, QueueStats, State, StoredMessage
from asynctasq.serialization import Envelope, EnvelopeCodec, MsgpackSerializer

TASKS = """
import asyncio, os, time
from pathlib import Path

from asynctasq import AsyncTask, SyncTask, current_context, task

LOG = Path(__file__).with_name("log.txt")


def log(word):
    with LOG.open("a") as file:
        file.write(f"{word}\\n")


@task
async def note(word: str):
    log(word)


@task
def note_in_thread(word: str):
    log(word)


@task(process=True)
def note_in_process(word: str):
    log(word)


@task(max_attempts=2, retry_delay=0.1, retry_strategy="fixed")
async def fail(word: str):
    log(f"{word} {current_context().attempt}")
    raise ValueError(word)


@task
async def wait_for_file(number: int):
    log(f"start {number}")
    while not LOG.with_name("go").exists():
        await asyncio.sleep(0.02)
    log(f"end {number}")


@task
async def sleep(number: int, seconds: float):
    log(f"start {number}")
    await asyncio.sleep(seconds)
    log(f"end {number}")


@task
async def block(number: int, seconds: float):
    log(f"start {number}")
    time.sleep(seconds)
    log(f"end {number}")


class Greet(AsyncTask[None]):
    def __init__(self, word: str) -> None:
        self.word = word

    async def execute(self) -> None:
        log(self.word)


def unregistered():
    log("never")
"""

PATIENCE = 40.0
T = TypeVar("T")


def until(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait for a condition, and fail when it does not come."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.05)


class Application:
    """A directory with ``tasks.py``, the settings of a driver, and processes that end with it."""

    def __init__(self, directory: Path, settings: dict[str, str]) -> None:
        self.directory = directory
        self.settings = settings
        self.config = Config(**settings)
        self._processes: list[subprocess.Popen[str]] = []
        (directory / "tasks.py").write_text(TASKS)

    @property
    def environment(self) -> dict[str, str]:
        """The settings as environment variables."""
        variables = {f"ASYNCTASQ_{k.upper()}": v for k, v in self.settings.items()}
        return {**os.environ, **variables, "PYTHONUNBUFFERED": "1"}

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start ``python WORDS`` in the directory; its output goes to ``output-N.txt``."""
        with self._output(len(self._processes)).open("w") as output:
            process = subprocess.Popen(
                [sys.executable, *words],
                cwd=self.directory,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self._processes.append(process)
        return process

    def start_worker(self, *options: str) -> "subprocess.Popen[str]":
        """Start a worker."""
        return self.start("-m", "asynctasq", "worker", *options)

    def output(self) -> str:
        """What all processes have printed."""
        return "".join(self._output(n).read_text() for n in range(len(self._processes)))

    def dispatch(self, *calls: tuple[str, dict[str, object]], queue: str = "default") -> None:
        """Enqueue calls of the tasks in ``tasks.py`` without importing it here."""
        codec = EnvelopeCodec(MsgpackSerializer())
        bodies = [codec.encode(Envelope(f"tasks:{name}", (), kwargs)) for name, kwargs in calls]
        self.enqueue(*bodies, queue=queue)

    def enqueue(self, *bodies: bytes, queue: str = "default") -> list[str]:
        """Enqueue bodies as they are."""
        ids = [os.urandom(8).hex() for _ in bodies]
        messages = [Message(i, queue, body) for i, body in zip(ids, bodies, strict=True)]
        self.ask(lambda driver: driver.enqueue(messages))
        return ids

    def ask(self, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        """Do something with a connected driver."""

        async def main() -> T:
            driver: BaseDriver = DriverFactory.create_from_config(self.config)
            await driver.connect()
            try:
                return await work(driver)
            finally:
                await driver.disconnect()

        return asyncio.run(main())

    def stats(self, queue: str = "default") -> QueueStats:
        """The counts of a queue."""
        found: list[QueueStats] = [
            one for one in self.ask(lambda driver: driver.queues()) if one.queue == queue
        ]
        return found[0] if found else QueueStats(queue, 0, 0, 0, 0, None)

    def browse(self, state: State, queue: str = "default") -> list[StoredMessage]:
        """The messages of one state."""
        return list(self.ask(lambda driver: driver.browse(queue, state, limit=1000)))

    def log(self) -> Counter[str]:
        """What tasks have written, by word."""
        path = self.directory / "log.txt"
        return Counter(path.read_text().splitlines()) if path.exists() else Counter()

    def close(self) -> None:
        """Kill what still runs."""
        for process in self._processes:
            process.kill()
            process.wait()

    def _output(self, number: int) -> Path:
        return self.directory / f"output-{number}.txt"
