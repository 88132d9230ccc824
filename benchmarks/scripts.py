"""Runs a contender's script, and reads the figures that it prints."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from benchmarks.environments import Contender
from benchmarks.servers import Broker


class Failed(Exception):
    """A contender's script did not do its work."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a worker has to do.

    Attributes:
        concurrency: what it may run at once.
        task: what its tasks do; see ``contenders/bodies.py``.
        pause: seconds between two tasks that are sent one by one.
    """

    concurrency: int = 100
    task: str = "noop"
    pause: float = 0.015


class Running:
    """A script that was started."""

    def __init__(self, label: str, process: "subprocess.Popen[str]") -> None:
        self._label = label
        self._process = process

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def read(self) -> Any:
        """The next line of figures; raises `Failed` when there is none."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Failed(f"{self._label} ended early: {self.last_words()}")
        return json.loads(line)

    def ask(self) -> Any:
        """Have it print figures, and read them."""
        self.tell()
        return self.read()

    def tell(self) -> None:
        """Send it a line, which it waits for; raises `Failed` when it is gone."""
        assert self._process.stdin is not None
        try:
            os.write(self._process.stdin.fileno(), b"\n")
        except BrokenPipeError:
            raise Failed(f"{self._label} ended early: {self.last_words()}") from None

    def last_words(self) -> str:
        """The last line of its errors."""
        assert self._process.stderr is not None
        lines = self._process.stderr.read().strip().splitlines()
        return lines[-1] if lines else "it said nothing, or was killed for taking too long"


class Scripts:
    """A contender's script against one broker; `patience` is the seconds after which it hangs."""

    def __init__(self, contender: Contender, broker: Broker, patience: float) -> None:
        self.broker = broker
        self._contender = contender
        self._patience = patience

    def run(self, verb: str, count: int, load: Load | None = None) -> Any:
        """Run it to its end, and return its figures; raises `Failed`."""
        with self.start(verb, count, load) as script:
            return script.read()

    @contextmanager
    def start(
        self, verb: str, count: int, load: Load | None = None
    ) -> Generator[Running, None, None]:
        """Run it until the block and the script have ended; raises `Failed`."""
        with self._process(verb, count, load or Load()) as process:
            label = f"{self._contender.name} {verb}"
            # whatever this process waits for meanwhile
            limit = threading.Timer(self._patience, _kill, [process])
            limit.start()
            script = Running(label, process)
            try:
                yield script
                assert process.stdin is not None
                process.stdin.close()
                process.wait()
            finally:
                limit.cancel()
                _kill(process)
            if process.returncode != 0:
                raise Failed(f"{label}: {script.last_words()}")

    def _process(self, verb: str, count: int, load: Load) -> "subprocess.Popen[str]":
        settings = {
            "BENCHMARK_URL": self.broker.url,
            "BENCHMARK_NAME": self.broker.name,
            "BENCHMARK_CONCURRENCY": str(load.concurrency),
            "BENCHMARK_TASK": load.task,
            "BENCHMARK_PAUSE": str(load.pause),
        }
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [str(self._contender.python), str(self._contender.path), verb, str(count)],
            env={**os.environ, **settings},
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
            process_group=0,
        )


def _kill(process: "subprocess.Popen[str]") -> None:
    """And its children, which are in its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
