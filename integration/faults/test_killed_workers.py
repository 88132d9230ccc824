"""Workers, their helpers and their supervisors that die, again and again."""

import os
import random
import signal

from asynctasq.testing.waiting import until
from integration.application import Application
from integration.faults.conftest import MakeLoad
from integration.faults.load import Report
from integration.faults.tally import finish, is_alive, members, runs

CONCURRENCY = 10
#: Outcomes that may wait to be stored when their worker dies, as documented.
UNSTORED = 50


def test_kill_9_at_random(
    application: Application, load: MakeLoad, report: Report, scale: int
) -> None:
    chance = random.Random(4)
    options = ("--concurrency", str(CONCURRENCY), "--lease", "2")
    work = load(200, seconds=0.1)
    workers = [work.start_worker(*options) for _ in range(2)]
    kills = 3 * scale
    for number in range(kills):
        work.await_ended((number + 1) / (kills + 2))
        workers.pop(chance.randrange(2)).kill()
        work.recovers()
        workers.append(application.start_worker(*options))
    row = work.finish("kill -9 of workers at random")
    report(row)
    assert row.twice <= kills * (CONCURRENCY + UNSTORED)


def test_kill_9_of_a_process_of_the_pool(application: Application, report: Report) -> None:
    """Its task is retried, the attempt counts, and no other task is affected."""
    in_processes = (("wait_in_process", {"number": number}) for number in range(2))
    beside = (("wait_for_file", {"number": number}) for number in range(2, 6))
    application.dispatch(*in_processes, *beside)
    application.start_worker("--lease", "2", "--process-pool-size", "2")
    until(lambda: len(runs(application, "process")) == 2, "two processes work")
    until(lambda: len(runs(application, "start")) == 6, "all have started")
    os.kill(next(iter(runs(application, "process"))), signal.SIGKILL)
    until(lambda: len(runs(application, "process")) == 3, "another process works instead")
    (application.directory / "go").touch()
    until(lambda: len(runs(application, "end")) == 6, "all have ended")
    row = finish(application, "kill -9 of a process of the pool", 6, raises=True)
    report(row)
    assert "the process that ran the task died (exit code -9)" in application.output()
    assert (row.lost, row.twice) == (0, 1)
    assert set(runs(application, "end").values()) == {1}


def test_kill_9_in_a_fleet(application: Application, load: MakeLoad, report: Report) -> None:
    """A member that dies is replaced; when the supervisor dies, all end in order."""
    options = ("--concurrency", str(CONCURRENCY), "--lease", "2")
    work = load(200, seconds=0.1)
    fleet = application.start_worker(*options, "--processes", "2")
    work.await_ended(0.2)
    until(lambda: len(members(application)) == 2, "both work")
    os.kill(members(application)[0], signal.SIGKILL)
    work.recovers()
    until(lambda: len(members(application)) == 3, "another has started")
    until(lambda: application.output().count("done in") >= 0.3 * work.tasks, "it goes on")
    fleet.kill()
    fleet.wait()
    until(lambda: not any(is_alive(pid) for pid in members(application)), "all have ended")
    application.start_worker(*options)
    row = work.finish("kill -9 in a fleet")
    report(row)
    assert row.twice <= CONCURRENCY + UNSTORED  # of the member; the supervisor's end costs none
