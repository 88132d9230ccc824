"""``asynctasq worker`` in a process of its own."""

import json
import re
import signal

import pytest

ELSEWHERE = """
from dataclasses import dataclass
from asynctasq import task

@dataclass
class Word:
    text: str

@task(name="elsewhere", process=True)
def elsewhere(word: Word, path: str):
    with open(path, "a") as file:
        file.write(word.text + "\\n")
"""


def test_a_worker_runs_what_a_script_dispatched(shell) -> None:
    handle, _ = shell.produce(["hello", "x"], ["named"])
    done = shell.run("worker", "--burst")
    assert done.returncode == 0, done.stderr
    assert shell.log() == ["named", "x"]
    assert re.search(rf"tasks:hello done in \S+ s id={handle} queue=default attempt=1", done.stderr)
    assert re.search(r"driver +sqlite \(.*asynctasq.db\)", done.stderr)
    assert re.search(r"tasks +named, tasks:fail, tasks:hello, tasks:wait\n", done.stderr)


def test_json_logs_have_the_task_on_every_line(shell) -> None:
    shell.produce(["named"])
    done = shell.run("worker", "--burst", "--log-format", "json", "--log-level", "INFO")
    banner, own, settled = [json.loads(line) for line in done.stderr.splitlines()]
    assert (banner["queues"], banner["concurrency"]) == ("default", 10)
    assert (own["message"], own["task_name"], own["attempt"], own["logger"], own["customer"]) == (
        "from the application", "named", 1, "app", 7,
    )  # fmt: skip
    assert own["task_id"] == settled["task_id"]


def test_control_characters_do_not_reach_the_log(shell) -> None:
    shell.produce(["fail", "\x1b[31mred\x07"])
    done = shell.run("worker", "--burst")
    assert r"\x1b[31mred\x07" in done.stderr
    assert "\x1b" not in done.stderr


def test_an_imported_module_reaches_the_processes_of_the_pool(shell) -> None:
    library = shell.folder / "library"
    library.mkdir()
    (library / "elsewhere.py").write_text(ELSEWHERE)
    (shell.folder / "produce.py").write_text(
        "from asynctasq import run\n"
        "from elsewhere import Word, elsewhere\n"
        "run(elsewhere(Word('there'), 'log.txt').dispatch())\n"
    )
    (shell.folder / "tasks.py").unlink()
    shell.environment["PYTHONPATH"] = str(library)
    shell.produce()
    done = shell.run("worker", "--import", "elsewhere", "--burst")
    assert done.returncode == 0, done.stderr
    assert shell.log() == ["there"], done.stderr


def test_max_tasks_runs_exactly_that_number(shell) -> None:
    shell.produce(*(["hello", str(n)] for n in range(5)))
    assert shell.run("worker", "--max-tasks", "3").returncode == 0
    (stats,) = shell.json("queues")
    assert (len(shell.log()), stats["ready"]) == (3, 2)


def test_sigterm_finishes_running_tasks_and_leaves_waiting_ones(shell) -> None:
    shell.produce(*(["wait", n] for n in range(25)))
    worker = shell.start("worker", "--concurrency", "5")
    shell.until(lambda: len(shell.log()) == 5)
    worker.send_signal(signal.SIGTERM)
    shell.until(lambda: "SIGTERM: " in shell.stderr())
    (shell.folder / "go").touch()
    assert worker.wait(30) == 0
    assert shell.log() == [f"{word}-{n}" for word in ("end", "start") for n in range(5)]
    (stats,) = shell.json("queues")
    assert (stats["ready"], stats["running"], stats["delayed"], stats["dead"]) == (20, 0, 0, 0)


def test_a_second_sigterm_releases_running_tasks(shell) -> None:
    shell.produce(["wait"])
    worker = shell.start("worker")
    shell.until(lambda: shell.log() == ["start-0"])
    worker.send_signal(signal.SIGTERM)
    shell.until(lambda: "SIGTERM: " in shell.stderr())
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    (stats,) = shell.json("queues")
    assert (stats["ready"], stats["running"]) == (1, 0)


def test_the_command_line_outranks_environment_dotenv_and_pyproject(shell) -> None:
    (shell.folder / "pyproject.toml").write_text(
        '[tool.asynctasq]\nsqlite_path = "p.db"\ndefault_queue = "p"\ndefault_timeout = 1\n'
        "process_pool_size = 1\n"
    )
    (shell.folder / ".env").write_text(
        "ASYNCTASQ_DEFAULT_QUEUE=d\nASYNCTASQ_DEFAULT_TIMEOUT=2\nASYNCTASQ_PROCESS_POOL_SIZE=2\n"
    )
    shell.environment |= {
        "ASYNCTASQ_DEFAULT_TIMEOUT": "3",
        "ASYNCTASQ_PROCESS_POOL_SIZE": "3",
    }
    config = shell.json("doctor", "--process-pool-size", "4")["config"]
    names = ("sqlite_path", "default_queue", "default_timeout", "process_pool_size")
    assert [config[name] for name in names] == ["p.db", "d", 3.0, 4]


@pytest.mark.parametrize("command", [["worker"], ["dead", "list"]])
def test_the_help_groups_and_explains_every_option(shell, command: list[str]) -> None:
    shell.environment["COLUMNS"] = "200"
    text = shell.run(*command, "--help").stdout
    for title in ("Options", "Configuration", "sqlite driver", "memory driver"):
        assert f"─ {title} ─" in text
    assert re.search(r"--sqlite-path +PATH +The file, as a path .*\[default: asynctasq.db\]", text)
    assert re.search(r"--default-retry-strategy +\[fixed\|exponential\]", text)


def test_version(shell) -> None:
    assert shell.run("--version").stdout.startswith("asynctasq, version ")


COLLECTOR = """
import gc
from pathlib import Path
from asynctasq import task
{own}

@task(name="collector")
async def collector():
    Path("log.txt").write_text(f"{{gc.get_threshold()[0]}} {{gc.get_freeze_count() > 0}}")
"""


@pytest.mark.parametrize(
    ("own", "seen"), [("", "10000 True"), ("gc.set_threshold(123)", "123 True")]
)
def test_the_garbage_collector_keeps_the_threshold_of_the_application(
    shell, own: str, seen: str
) -> None:
    (shell.folder / "tasks.py").write_text(COLLECTOR.format(own=own))
    shell.produce(["collector"])
    assert shell.run("worker", "--import", "tasks", "--burst").returncode == 0
    assert shell.log() == seen.split()
