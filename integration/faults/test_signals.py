"""Signals that end workers: in every phase, and twice."""

import re
import signal
import subprocess
import time

import pytest

from asynctasq.testing.waiting import until
from integration.application import Application
from integration.faults.load import Report
from integration.faults.tally import finish, members, runs

pytestmark = pytest.mark.any_driver

#: Seconds in which a worker that has nothing to wait for ends; a fetch waits for 20.
PROMPT = 8.0
#: Exit codes: in order, or of the signal while the worker is not ready for it.
STARTING = (0, -signal.SIGTERM)


def test_while_it_starts(application: Application, report: Report) -> None:
    """It ends at once, in order or not, and has taken nothing that it does not settle."""
    application.dispatch(*(("sleep", {"number": n, "seconds": 0.0}) for n in range(20)))
    workers = [application.start_worker("--lease", "2") for _ in range(5)]
    for number, worker in enumerate(workers):
        time.sleep(0.1 + 0.1 * number)  # wherever it is by now
        assert _ends(worker) in STARTING, application.output()
    application.start_worker("--lease", "2")
    until(lambda: len(runs(application, "end")) == 20, "all ran")
    exits = STARTING
    row = finish(application, "SIGTERM while it starts", 20, exits=exits)
    report(row)
    assert (row.lost, row.twice) == (0, 0)


def test_while_it_waits_for_messages(application: Application) -> None:
    worker = application.start_worker()
    application.dispatch(("sleep", {"number": 0, "seconds": 0.0}))
    until(lambda: "done in" in application.output(), "it has worked")
    until(lambda: application.stats().unfinished == 0, "and has settled")
    assert _ends(worker) == 0
    finish(application, "SIGTERM", 1)


def test_while_it_works(application: Application, report: Report) -> None:
    """Running tasks finish; messages that have not started are released, uncounted."""
    application.dispatch(*(("wait_for_file", {"number": n}) for n in range(50)), queue="low")
    options = ("--queues", "high,default,low", "--concurrency", "20")
    worker = application.start_worker(*options)
    until(lambda: len(runs(application, "start")) == 20, "20 have started")
    worker.send_signal(signal.SIGTERM)
    until(lambda: "starting no others" in application.output(), "the worker heard of it")
    (application.directory / "go").touch()
    assert worker.wait(PROMPT) == 0, application.output()
    assert sum(runs(application, "end").values()) == 20
    stats = application.stats("low")
    assert (stats.ready, stats.running or 0, stats.dead) == (30, 0, 0)
    application.start_worker(*options)
    until(lambda: len(runs(application, "end")) == 50, "another runs the others")
    until(lambda: application.stats("low").unfinished == 0, "all is settled")
    row = finish(application, "SIGTERM under load", 50)
    report(row)
    assert (row.lost, row.twice) == (0, 0)
    assert "attempt=2" not in application.output()


def test_twice(application: Application, report: Report) -> None:
    """Running tasks are released uncounted, at once."""
    application.dispatch(*(("wait_for_file", {"number": n}) for n in range(5)))
    worker = application.start_worker()
    until(lambda: len(runs(application, "start")) == 5, "the tasks have started")
    worker.send_signal(signal.SIGINT)
    until(lambda: "starting no others" in application.output(), "the worker heard of it")
    assert _ends(worker, signal.SIGINT) == 0
    stats = application.stats()
    assert (stats.ready, stats.running or 0) == (5, 0)
    (application.directory / "go").touch()
    application.start_worker()
    until(lambda: len(runs(application, "end")) == 5, "another runs them")
    row = finish(application, "two signals", 5)
    report(row)
    assert (row.lost, row.twice) == (0, 5)
    assert set(re.findall(r"attempt=(\d+)", application.output())) == {"1"}


def test_to_a_fleet(application: Application, report: Report) -> None:
    application.dispatch(*(("wait_for_file", {"number": n}) for n in range(8)))
    fleet = application.start_worker("--processes", "2", "--concurrency", "4")
    until(lambda: len(runs(application, "start")) == 8, "both work")
    assert len(members(application)) == 2
    fleet.send_signal(signal.SIGTERM)
    until(lambda: application.output().count("starting no others") == 2, "both heard of it")
    (application.directory / "go").touch()
    assert fleet.wait(PROMPT) == 0, application.output()
    row = finish(application, "SIGTERM to a fleet", 8)
    report(row)
    assert (row.lost, row.twice) == (0, 0)


def _ends(worker: "subprocess.Popen[str]", number: int = signal.SIGTERM) -> int:
    """Signal a worker and return its exit code; it ends at once."""
    worker.send_signal(number)
    return worker.wait(PROMPT)
