"""Several processes: ``--processes`` and ``--reload``."""

import os
import re
import signal
from pathlib import Path

_WORKER = re.compile(r"worker +\S+?-(\d+)-\w+\n")


def workers(shell) -> list[int]:
    """Process ids of all workers started so far."""
    return [int(pid) for pid in _WORKER.findall(shell.stderr())]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")  # a zombie may still await its reaper
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_killed_worker_is_restarted_and_none_outlives_the_supervisor(shell) -> None:
    fleet = shell.start("worker", "--processes", "2")
    shell.until(lambda: len(workers(shell)) == 2)
    os.kill(workers(shell)[0], signal.SIGKILL)
    shell.until(lambda: len(workers(shell)) == 3)
    fleet.kill()
    fleet.wait()
    shell.until(lambda: not any(is_alive(pid) for pid in workers(shell)))


def test_both_signals_reach_the_workers(shell) -> None:
    shell.produce(["wait"])
    fleet = shell.start("worker", "--processes", "2", "--worker-id", "w")
    shell.until(lambda: shell.log() == ["start-0"] and shell.stderr().count("worker  ") == 2)
    assert set(re.findall(r"worker +(\S+)\n", shell.stderr())) == {"w-1", "w-2"}
    for _ in range(2):
        fleet.send_signal(signal.SIGINT)
        shell.until(lambda: "SIGINT: finishing" in shell.stderr())
    assert fleet.wait(30) == 0
    (stats,) = shell.json("queues")
    assert (stats["ready"], stats["running"]) == (1, 0)


def test_a_fleet_ends_when_its_workers_have_no_tasks_left(shell) -> None:
    shell.produce(*(["hello", str(n)] for n in range(9)))
    assert shell.run("worker", "--processes=2", "--burst").returncode == 0
    assert shell.log() == [str(n) for n in range(9)]


def test_reload_restarts_when_a_file_changes(shell) -> None:
    reloader = shell.start("worker", "--reload")
    shell.until(lambda: "tasks:hello" in shell.stderr())
    tasks = shell.folder / "tasks.py"
    tasks.write_text(tasks.read_text().replace("async def hello", "async def hi"))
    shell.until(lambda: "tasks:hi" in shell.stderr())
    reloader.send_signal(signal.SIGTERM)
    assert reloader.wait(30) == 0
    assert not any(is_alive(pid) for pid in workers(shell))


def test_no_worker_outlives_its_reloader(shell) -> None:
    reloader = shell.start("worker", "--reload")
    shell.until(lambda: len(workers(shell)) == 1)
    reloader.kill()
    reloader.wait()
    shell.until(lambda: not any(is_alive(pid) for pid in workers(shell)))
