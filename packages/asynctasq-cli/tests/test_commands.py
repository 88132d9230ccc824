"""The command as people use it: a process in a directory of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TASKS = """
import asyncio, logging
from pathlib import Path
from asynctasq import task

@task
async def hello(word: str):
    with Path("log.txt").open("a") as file:
        file.write(word + "\\n")

@task(name="named")
async def named():
    await hello("named").dispatch()
    logging.getLogger("app").warning("from the application")

@task(max_attempts=1)
async def fail(reason: str):
    raise ValueError(reason)

@task
async def wait():
    Path("waiting").touch()
    while not Path("go").exists():
        await asyncio.sleep(0.02)
"""

PRODUCE = """
import sys
from asynctasq import run
import tasks

async def main():
    name, *arguments = sys.argv[1:]
    print(await getattr(tasks, name)(*arguments).dispatch())

run(main())
"""


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
        return subprocess.run(
            [sys.executable, "-m", "asynctasq", *words],
            cwd=self.folder, env=self.environment, capture_output=True, text=True,
            timeout=60, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def start(self, *words: str) -> "subprocess.Popen[str]":
        with (self.folder / "stderr").open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "asynctasq", *words],
                cwd=self.folder, env=self.environment, text=True,
                stdout=subprocess.DEVNULL, stderr=stderr,
            )  # fmt: skip
        self._started.append(process)
        return process

    def produce(self, *words: str) -> str:
        command = [sys.executable, "produce.py", *words]
        return subprocess.check_output(
            command, cwd=self.folder, env=self.environment, text=True
        ).strip()

    def log(self) -> list[str]:
        path = self.folder / "log.txt"
        return path.read_text().split() if path.exists() else []

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    one = Shell(tmp_path)
    yield one
    one.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_worker_runs_what_a_script_dispatched(shell: Shell) -> None:
    handle = shell.produce("hello", "x")
    shell.produce("named")
    done = shell.run("worker", "--burst")
    assert done.returncode == 0, done.stderr
    assert sorted(shell.log()) == ["named", "x"]
    assert "tasks:hello done in 0.00" in done.stderr.replace("0.01", "0.00")
    assert f"id={handle} queue=default attempt=1" in done.stderr
    assert re.search(r"driver +sqlite \(.*asynctasq.db\)", done.stderr)
    assert re.search(r"tasks +named, tasks:fail, tasks:hello, tasks:wait\n", done.stderr)


def test_json_logs_have_the_task_on_every_line(shell: Shell) -> None:
    shell.produce("named")
    done = shell.run("worker", "--burst", "--log-format", "json")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    own = next(line for line in lines if line["message"] == "from the application")
    assert (own["task_name"], own["attempt"], own["logger"]) == ("named", 1, "app")


def test_the_dead_are_listed_shown_and_brought_back(shell: Shell) -> None:
    ids = [shell.produce("fail", f"reason-{n}") for n in range(3)]
    assert shell.run("worker", "--burst").returncode == 0
    listed = json.loads(shell.run("dead", "list", "--json").stdout)
    assert {row["id"] for row in listed} == set(ids)
    shown = json.loads(shell.run("dead", "show", ids[0], "--json").stdout)
    assert (shown["task"], shown["args"], shown["error"]) == (
        "tasks:fail", ["reason-0"], "ValueError: reason-0",
    )  # fmt: skip
    assert "Traceback" in shown["note"]
    assert "reason-0" in shell.run("dead", "show", ids[0]).stdout
    assert json.loads(shell.run("dead", "requeue", ids[1], "--json").stdout) == [ids[1]]
    assert json.loads(shell.run("dead", "purge", ids[0], "--yes", "--json").stdout) == [ids[0]]
    (stats,) = json.loads(shell.run("queues", "--json").stdout)
    assert (stats["queue"], stats["ready"], stats["dead"]) == ("default", 1, 1)
    unknown = shell.run("dead", "requeue", "nobody")
    assert (unknown.returncode, unknown.stderr) == (1, "error: not among the dead: nobody\n")
    assert shell.run("dead", "requeue").returncode == 2
    assert shell.run("dead", "requeue", "--all").stdout == "1 requeued\n"


def test_control_characters_do_not_reach_the_terminal(shell: Shell) -> None:
    shell.produce("fail", "\x1b[31mred\x07")
    shell.run("worker", "--burst")
    for command in (["dead", "list"], ["dead", "show", json.loads(
            shell.run("dead", "list", "--json").stdout)[0]["id"]]):  # fmt: skip
        answer = shell.run(*command)
        assert "red" in answer.stdout
        assert "\x1b[31m" not in answer.stdout
        assert "\x07" not in answer.stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--concurrency", "0"], 2, "concurrency must be at least 1"),
        (["--queues", " , "], 2, "--queues needs at least one name"),
        (["--driver", "memroy"], 2, "did you mean 'memory'?"),
        (["--sqlite-pth", "x"], 2, "--sqlite-path"),
        (["--processes", "0"], 2, "--processes must be at least 1"),
        (["--lease", "x"], 2, "is not a valid float"),
        (["--import", "nosuchmodule"], 1, "No module named 'nosuchmodule'"),
        (["--import", "broken"], 1, "importing 'broken' failed: ZeroDivisionError"),
        (["--sqlite-path", "nowhere/x.db"], 1, "nowhere is no directory"),
        (["--sqlite-path", "tasks.py"], 1, "it is no SQLite database"),
        (["--url", "pigeon://x"], 2, "no driver reads pigeon:// URLs"),
    ],
)
def test_bad_input_gets_one_line(shell: Shell, words: list[str], code: int, message: str) -> None:
    (shell.folder / "broken.py").write_text("1 / 0\n")
    answer = shell.run("worker", *words)
    assert answer.returncode == code
    last = answer.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last
    assert "Traceback" not in answer.stderr


def test_debug_shows_the_traceback(shell: Shell) -> None:
    answer = shell.run("--debug", "worker", "--sqlite-path", "nowhere/x.db")
    assert "Traceback" in answer.stderr


def test_doctor_shows_what_is_in_force(shell: Shell) -> None:
    answer = shell.run("doctor", "--json", "--signing-keys", "canary", "--default-queue", "q")
    found = json.loads(answer.stdout)
    assert (found["reachable"], found["config"]["default_queue"]) == (True, "q")
    assert "canary" not in answer.stdout
    assert shell.run("doctor", "--sqlite-path", "nowhere/x.db").returncode == 1


def test_sigterm_ends_a_worker_in_order(shell: Shell) -> None:
    shell.produce("wait")
    worker = shell.start("worker", "--concurrency", "1")
    until((shell.folder / "waiting").exists)
    shell.produce("hello", "left")
    worker.send_signal(signal.SIGTERM)
    until(lambda: "taking nothing new" in (shell.folder / "stderr").read_text())
    (shell.folder / "go").touch()
    assert worker.wait(30) == 0
    (stats,) = json.loads(shell.run("queues", "--json").stdout)
    assert (stats["ready"], stats["running"], shell.log()) == (1, 0, [])


def test_reload_starts_again_when_a_file_changes(shell: Shell) -> None:
    worker = shell.start("worker", "--reload")
    stderr = shell.folder / "stderr"
    until(lambda: "tasks:hello" in stderr.read_text())
    (shell.folder / "tasks.py").write_text(TASKS.replace("async def hello", "async def hi"))
    until(lambda: "tasks:hi" in stderr.read_text())
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0


def test_the_demo_loses_nothing(shell: Shell) -> None:
    answer = shell.run("demo")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "348 succeeded" in answer.stdout


def test_help_and_version(shell: Shell) -> None:
    assert shell.run("--version").stdout.startswith("asynctasq, version ")
    text = shell.run("worker", "--help").stdout
    for option in ("--queues", "--sqlite-path", "--max-tasks", "--burst", "--lease"):
        assert option in text
