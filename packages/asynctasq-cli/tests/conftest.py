"""A directory with an application, and a shell that runs the command in it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

TASKS = """
import asyncio, logging
from pathlib import Path
from asynctasq import task

def log(word):
    with Path("log.txt").open("a") as file:
        file.write(word + "\\n")

@task
async def hello(word: str):
    log(word)

@task(name="named")
async def named():
    log("named")
    logging.getLogger("app").warning("from the application", extra={"customer": 7})

@task(max_attempts=1)
async def fail(reason: str):
    raise ValueError(reason)

@task
async def wait(number: int = 0):
    log(f"start-{number}")
    while not Path("go").exists():
        await asyncio.sleep(0.02)
    log(f"end-{number}")
"""

PRODUCE = """
import json, sys
from asynctasq import dispatch_many, run
import tasks

async def main():
    calls = [getattr(tasks, name)(*arguments) for name, *arguments in json.loads(sys.argv[1])]
    print(*await dispatch_many(calls), sep="\\n")

run(main())
"""

# Interpreter startup dominates short commands: this script forks for each command.
BATCH = """
import json, os, sys
from asynctasq_cli.main import run

for number, words in enumerate(json.loads(sys.argv[1])):
    child = os.fork()
    if child == 0:
        for descriptor, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(f"{number}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
        sys.argv[1:] = words
        sys.exit(run())
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Answer(NamedTuple):
    """The result of a command."""

    returncode: int
    stdout: str
    stderr: str


class Shell:
    """Runs commands in one directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[str]] = []
        (folder / "tasks.py").write_text(TASKS)
        (folder / "produce.py").write_text(PRODUCE)
        clean = {k: v for k, v in os.environ.items() if not k.startswith("ASYNCTASQ_")}
        self.environment = {**clean, "ASYNCTASQ_DRIVER": "sqlite", "PYTHONUNBUFFERED": "1"}

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run ``asynctasq WORDS`` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "asynctasq", *words],
            cwd=self.folder, env=self.environment, capture_output=True, text=True,
            timeout=60, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def json(self, *words: str) -> Any:
        """The output of a command with ``--json``."""
        return json.loads(self.run(*words, "--json").stdout)

    def batch(self, *commands: Sequence[str]) -> list[Answer]:
        """Run commands sequentially, each in a forked process."""
        output = subprocess.check_output(
            [sys.executable, "-c", BATCH, json.dumps(commands)],
            cwd=self.folder, env=self.environment, text=True,
            timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return [
            Answer(int(code), *(self._read(f"{n}.{name}") for name in ("stdout", "stderr")))
            for n, code in enumerate(output.split())
        ]

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start ``asynctasq WORDS``; `stderr` has its log."""
        with (self.folder / "stderr").open("a") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "asynctasq", *words],
                cwd=self.folder, env=self.environment, text=True,
                stdout=subprocess.DEVNULL, stderr=stderr,
            )  # fmt: skip
        self._started.append(process)
        return process

    def produce(self, *calls: Sequence[object]) -> list[str]:
        """Dispatch calls, each a name and arguments, with a script; returns their ids."""
        command = [sys.executable, "produce.py", json.dumps(calls)]
        return subprocess.check_output(
            command, cwd=self.folder, env=self.environment, text=True
        ).split()

    def log(self) -> list[str]:
        """The lines that tasks have written, sorted."""
        path = self.folder / "log.txt"
        return sorted(path.read_text().split()) if path.exists() else []

    def stderr(self) -> str:
        """The log of all started processes."""
        return self._read("stderr")

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition; fails after 30 seconds."""
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, self.stderr()
            time.sleep(0.02)

    def close(self) -> None:
        """Kill running processes."""
        for process in self._started:
            process.kill()
            process.wait()

    def _read(self, name: str) -> str:
        return (self.folder / name).read_text()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.close()


@pytest.fixture(scope="module")
def shared_shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell for commands without side effects."""
    shell = Shell(tmp_path_factory.mktemp("shared"))
    yield shell
    shell.close()
