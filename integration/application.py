"""An application under test: a directory with tasks, and worker processes."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from asynctasq import Config, DriverFactory
from asynctasq.drivers import BaseDriver, Delivery, Message, QueueStats, State, StoredMessage
from asynctasq.serialization import Envelope, EnvelopeCodec, MsgpackSerializer
from asynctasq.testing.waiting import PATIENCE, until

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


@task
async def block_until_go(number: int):
    log(f"start {number}")
    while not LOG.with_name("go").exists():
        time.sleep(0.02)
    log(f"end {number}")


@task(process=True, retry_delay=0.1, retry_strategy="fixed")
def wait_in_process(number: int):
    log(f"start {number}")
    log(f"process {os.getpid()}")
    while not LOG.with_name("go").exists():
        time.sleep(0.02)
    log(f"end {number}")


@task(max_attempts=9, give_up_on=(LookupError,))
async def wait_for_verdict(number: int):
    log(f"start {number}")
    verdict = LOG.with_name(f"verdict-{os.getpid()}")
    while not verdict.exists():
        await asyncio.sleep(0.02)
    log(f"{verdict.read_text()} {number}")
    if verdict.read_text() == "mixed" and number % 3:
        raise (ValueError if number % 3 == 1 else LookupError)(number)


@task(max_attempts=2)
async def kill_worker(number: int):
    log(f"start {number}")
    os.kill(os.getpid(), 9)


@task
async def note_later(word: str, seconds: float):
    log(f"asked {time.monotonic()}")
    await note_time(word).delay(seconds).dispatch()


@task
async def note_time(word: str):
    log(f"{word} {time.monotonic()}")


@task
async def note_clock():
    LOG.touch()
    log(f"off {time.time() - LOG.stat().st_mtime:.0f}")


class Greet(AsyncTask[None]):
    def __init__(self, word: str) -> None:
        self.word = word

    async def execute(self) -> None:
        log(self.word)


def unregistered():
    log("never")
"""

#: Queues that the tests use.
QUEUES = ("default", "high", "low", "emails", "high-priority", "low-priority")
T = TypeVar("T")


class Application:
    """A directory with ``tasks.py``, the settings of a driver, and processes that end with it.

    Attributes:
        worker_settings: of the processes, where they reach the broker in another way than the test.
    """

    def __init__(self, directory: Path, settings: dict[str, str]) -> None:
        self.directory = directory
        self.settings = settings
        self.worker_settings = dict(settings)
        self.config = Config(**settings)
        self._processes: list[subprocess.Popen[str]] = []
        (directory / "tasks.py").write_text(TASKS)

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a process as environment variables."""
        variables = {f"ASYNCTASQ_{k.upper()}": v for k, v in self.worker_settings.items()}
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

    def end(self, *, exits: Sequence[int] = (0, -signal.SIGKILL), dead: int = 0) -> None:
        """Wait until no message is left, let all workers end by themselves, and check again.

        What they had not settled would be there again. As many messages are dead as said.
        """
        until(lambda: self.stats().unfinished == 0, "all is settled")
        self.await_up()
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            assert process.wait(PATIENCE) in exits, self.output()
        if self.stats().running is None:  # what was held did not count, and may have come back
            self.worker_settings = dict(self.settings)  # a way that is not cut off
            assert self.start_worker("--burst").wait(PATIENCE) == 0, self.output()
        until(lambda: self.stats().unfinished == 0, "nothing is left")
        assert self.stats().dead == dead

    def is_up(self, number: int) -> bool:
        """Whether a worker handles SIGTERM by now, or has ended: before, the signal kills it."""
        process = self._processes[number]
        status = Path(f"/proc/{process.pid}/status")
        if process.poll() is not None:
            return True
        if not status.exists():
            return "concurrency" in self._output(number).read_text()
        caught = re.search(r"^SigCgt:\s*(\w+)$", status.read_text(), re.MULTILINE)
        return bool(caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)

    def await_up(self) -> None:
        """Wait until each process has reached its broker, or has ended."""
        for number in range(len(self._processes)):
            until(lambda n=number: self.is_up(n), "the worker has begun, or ended")

    def output(self) -> str:
        """The output of all processes."""
        return "".join(self._output(n).read_text() for n in range(len(self._processes)))

    def dispatch(self, *calls: tuple[str, Mapping[str, object]], queue: str = "default") -> None:
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
        found: QueueStats = self.ask(lambda driver: driver.counts([queue]))[0]
        return found

    def drain(self, queue: str = "default") -> list[Delivery]:
        """Take all deliverable messages."""

        async def take(driver: BaseDriver) -> list[Delivery]:
            taken: list[Delivery] = []
            while more := await driver.dequeue([queue], limit=100, lease=60, wait=1):
                taken += more
            return taken

        return self.ask(take)

    def browse(self, state: State, queue: str = "default") -> list[StoredMessage]:
        """The messages of one state."""
        return list(self.ask(lambda driver: driver.browse(queue, state, limit=1000)))

    def log(self) -> Counter[str]:
        """The words that tasks have written."""
        path = self.directory / "log.txt"
        return Counter(path.read_text().splitlines()) if path.exists() else Counter()

    def close(self) -> None:
        """Kill the processes that still run."""
        for process in self._processes:
            process.kill()
            process.wait()

    def _output(self, number: int) -> Path:
        return self.directory / f"output-{number}.txt"
