"""A worker process, end to end."""

import os
import re
import signal
from pathlib import Path

from asynctasq.drivers import State
from asynctasq.serialization import Envelope, EnvelopeCodec, MsgpackSerializer
from integration.application import Application, until


def test_tasks_of_all_kinds_run_once(application: Application) -> None:
    names = ("note", "note_in_thread", "note_in_process", "Greet")
    application.dispatch(*((name, {"word": name}) for name in names), ("fail", {"word": "fail"}))
    worker = application.start_worker("--burst")
    assert worker.wait(60) == 0, application.output()
    assert application.log() == {**dict.fromkeys(names, 1), "fail 1": 1, "fail 2": 1}
    assert application.stats().dead == 1
    assert "ValueError: fail" in application.browse(State.DEAD)[0].note


def test_a_script_and_a_worker_find_each_other_without_a_flag(application: Application) -> None:
    (application.directory / "produce.py").write_text(
        "from asynctasq import run, task\n"
        "from tasks import log, note\n"
        "@task\n"
        "async def own(): log('own')\n"
        "async def main():\n"
        "    await note(word='hello').dispatch()\n"
        "    await own().dispatch()\n"
        "if __name__ == '__main__':\n"
        "    run(main())\n"
    )
    assert application.start("produce.py").wait(30) == 0, application.output()
    assert application.start_worker("--burst").wait(60) == 0, application.output()
    assert application.log() == {"hello": 1, "own": 1}


def test_sigterm_lets_the_running_finish_and_leaves_the_waiting(application: Application) -> None:
    application.dispatch(*(("wait_for_file", {"number": n}) for n in range(100)), queue="low")
    worker = application.start_worker("--queues", "high,default,low", "--concurrency", "20")
    until(lambda: len(application.log()) == 20, "20 tasks have started")
    worker.send_signal(signal.SIGTERM)
    until(lambda: "taking nothing new" in application.output(), "the worker heard of it")
    (application.directory / "go").touch()
    assert worker.wait(30) == 0, application.output()
    ended = [word for word in application.log() if word.startswith("end")]
    assert len(ended) == 20
    stats = application.stats("low")
    assert (stats.ready, stats.running, stats.dead) == (80, 0, 0)
    assert {message.attempt for message in application.browse(State.READY, "low")} == {0}


def test_a_second_signal_gives_the_running_back(application: Application) -> None:
    application.dispatch(("wait_for_file", {"number": 1}))
    worker = application.start_worker()
    until(lambda: application.log()["start 1"] == 1, "the task has started")
    worker.send_signal(signal.SIGINT)
    until(lambda: "taking nothing new" in application.output(), "the worker heard of it")
    worker.send_signal(signal.SIGINT)
    assert worker.wait(30) == 0, application.output()
    stats = application.stats()
    assert (stats.ready, stats.running) == (1, 0)
    assert application.browse(State.READY)[0].attempt == 0


def test_another_worker_takes_over_from_a_killed_one(application: Application) -> None:
    application.dispatch(*(("wait_for_file", {"number": n}) for n in range(50)))
    options = ("--concurrency", "50", "--lease", "2")
    first = application.start_worker(*options)
    until(lambda: len(application.log()) == 50, "50 tasks have started")
    first.kill()
    first.wait()
    application.start_worker(*options)
    until(
        lambda: all(application.log()[f"start {n}"] == 2 for n in range(50)),
        "all were started again",
        patience=2 + 10,
    )
    (application.directory / "go").touch()
    until(lambda: application.stats().running == 0, "all have ended")
    log = application.log()
    assert all((log[f"start {n}"], log[f"end {n}"]) == (2, 1) for n in range(50))
    assert (application.stats().ready, application.stats().dead) == (0, 0)


def test_a_task_of_three_leases_runs_once_also_when_it_blocks(application: Application) -> None:
    application.dispatch(("block", {"number": 1, "seconds": 4.0}))
    application.dispatch(("sleep", {"number": 2, "seconds": 4.0}))
    for _ in range(3):  # one to block, one to sleep, and one with nothing to do but take over
        application.start_worker("--lease", "1.2", "--concurrency", "1")
    until(lambda: application.log()["end 1"] == 1 == application.log()["end 2"], "both ended")
    until(lambda: application.stats().running == 0, "both are settled")
    assert application.log() == {"start 1": 1, "end 1": 1, "start 2": 1, "end 2": 1}


def test_a_stopped_worker_goes_on_without_running_twice(application: Application) -> None:
    application.dispatch(*(("wait_for_file", {"number": n}) for n in range(5)))
    worker = application.start_worker("--lease", "1")
    until(lambda: len(application.log()) == 5, "the tasks have started")
    worker.send_signal(signal.SIGSTOP)
    until(lambda: application.stats().ready == 5, "the leases have run out")
    worker.send_signal(signal.SIGCONT)
    until(lambda: application.stats().running == 5, "the leases are renewed")
    (application.directory / "go").touch()
    until(lambda: application.stats().running == 0, "all have ended")
    assert application.log() == {f"{w} {n}": 1 for w in ("start", "end") for n in range(5)}
    assert (application.stats().ready, application.stats().dead) == (0, 0)


def test_a_stopped_worker_leaves_what_another_took_over(application: Application) -> None:
    application.dispatch(("wait_for_file", {"number": 1}))
    first = application.start_worker("--lease", "1", "--concurrency", "1")
    until(lambda: application.log()["start 1"] == 1, "the task has started")
    first.send_signal(signal.SIGSTOP)
    application.start_worker("--lease", "1", "--concurrency", "1")
    until(lambda: application.log()["start 1"] == 2, "the other has taken it over")
    first.send_signal(signal.SIGCONT)
    until(lambda: "its lease was lost" in application.output(), "the first has noticed")
    (application.directory / "go").touch()
    until(lambda: application.stats().running == 0, "all have ended")
    assert application.log() == {"start 1": 2, "end 1": 1}


def test_garbage_is_kept_and_harms_nobody(application: Application) -> None:
    garbage = b"\xc1\x00garbage\xff"
    codec = EnvelopeCodec(MsgpackSerializer())
    evil = [codec.encode(Envelope(name, ("touch pwned",))) for name in ("os:system", "tasks:log")]
    application.enqueue(garbage, *evil)
    application.dispatch(("note", {"word": "neighbour"}))
    application.start_worker()
    until(lambda: application.log()["neighbour"] == 1, "the neighbour ran")
    until(lambda: application.stats().dead == 1, "the garbage is dead")
    until(lambda: application.stats().delayed == 2, "the others are tried again later")
    assert application.browse(State.DEAD)[0].body == garbage
    assert not (application.directory / "pwned").exists()
    output = application.output()
    assert "no task is called 'os:system' (module 'os' is not on the import allow-list)" in output


def test_batch_mode_ends_after_exactly_ten(application: Application) -> None:
    application.dispatch(*(("note", {"word": str(n)}) for n in range(25)))
    assert application.start_worker("--max-tasks", "10").wait(60) == 0, application.output()
    assert sum(application.log().values()) == 10
    assert application.stats().ready == 15


def test_a_killed_worker_of_a_fleet_is_replaced(application: Application) -> None:
    fleet = application.start_worker("--processes", "2", "--lease", "1")
    banner = re.compile(r"worker +\S+?-(\d+)-")
    until(lambda: len(banner.findall(application.output())) == 2, "two workers have started")
    victim = int(banner.findall(application.output())[0])
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(banner.findall(application.output())) == 3, "a third has started")
    application.dispatch(("note", {"word": "hello"}))
    until(lambda: application.log()["hello"] == 1, "the task ran")
    fleet.send_signal(signal.SIGTERM)
    assert fleet.wait(30) == 0, application.output()


def test_workers_of_a_killed_fleet_end(application: Application) -> None:
    fleet = application.start_worker("--processes", "2")
    banner = re.compile(r"worker +\S+?-(\d+)-")
    until(lambda: len(banner.findall(application.output())) == 2, "two workers have started")
    fleet.kill()
    fleet.wait()
    workers = [int(pid) for pid in banner.findall(application.output())]
    until(lambda: not any(is_alive(pid) for pid in workers), "both have ended")


def test_no_secret_is_ever_printed(application: Application) -> None:
    canary = "canary-password"
    url = f"redis://:{canary}@localhost:1/0"
    for command in (["worker", "--log-level", "debug"], ["doctor"], ["queues", "--debug"]):
        options = ["--driver", "redis", "--redis-url", url, "--redis-password", canary]
        assert application.start("-m", "asynctasq", *command, *options).wait(30) == 1
    assert "cannot reach Redis" in application.output()
    assert canary not in application.output()


def is_alive(pid: int) -> bool:
    """Whether it runs; a process that nobody has waited for yet does not."""
    state = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
