"""Workers that are stopped for longer than their leases, and go on."""

import signal
import subprocess
import time

import pytest

from asynctasq.testing.waiting import until
from integration.application import Application
from integration.faults.load import Report
from integration.faults.tally import finish, limits, runs

HELD = 12
LEASE = ("--lease", "1")


def test_tasks_that_were_not_taken_over_continue(application: Application, report: Report) -> None:
    first = _holding(application, "wait_for_file")
    first.send_signal(signal.SIGSTOP)
    until(lambda: application.stats().ready == HELD, "the leases have run out")
    first.send_signal(signal.SIGCONT)
    continued = time.monotonic()
    until(lambda: application.stats().ready == 0, "the leases are renewed")
    recovery = time.monotonic() - continued
    (application.directory / "go").touch()
    row = finish(application, "SIGSTOP, nobody takes over", HELD, recovery=recovery)
    report(row)
    assert row.lost == 0
    assert row.twice <= _may_be_lost(application, 0)
    assert set(runs(application, "end").values()) == {1}


@pytest.mark.flakiest("sqs")
def test_only_what_was_taken_over_runs_twice(application: Application, report: Report) -> None:
    first = _holding(application, "wait_for_file")
    first.send_signal(signal.SIGSTOP)
    few = HELD // 3
    application.start_worker(*LEASE, "--concurrency", str(few))
    until(lambda: runs(application, "start").total() == HELD + few, "some are taken over")
    first.send_signal(signal.SIGCONT)
    until(lambda: application.output().count("cancelled: lease lost") >= few, "they are given up")
    until(lambda: application.stats().ready == 0, "the others are renewed")
    (application.directory / "go").touch()
    row = finish(application, "SIGSTOP, some are taken over", HELD)
    report(row)
    assert row.lost == 0
    assert few <= row.twice <= _may_be_lost(application, few)
    assert set(runs(application, "end").values()) == {1}


def test_a_stale_outcome_changes_nothing(application: Application, report: Report) -> None:
    """Done, to be tried again, or dead: whatever it is, the next worker still has the message."""
    first = _holding(application, "wait_for_verdict")
    first.send_signal(signal.SIGSTOP)
    second = application.start_worker(*LEASE, "--concurrency", str(HELD))
    until(lambda: runs(application, "start").total() == 2 * HELD, "all are taken over")
    _judge(application, first, "mixed")  # its tasks end as soon as it goes on
    first.send_signal(signal.SIGCONT)
    until(lambda: _over(application) == HELD, "they have ended, or were cancelled")
    first.send_signal(signal.SIGTERM)
    assert first.wait(30) == 0  # and has settled what it could
    second.kill()
    third = application.start_worker(*LEASE, "--concurrency", str(HELD))
    _judge(application, third, "end")
    until(lambda: len(runs(application, "end")) == HELD, "all have run")
    row = finish(application, "SIGSTOP, all are taken over", HELD, raises=True)
    report(row)
    # once more for the worker that was stopped, and for the one that was killed
    assert (row.lost, row.twice) == (0, 2 * HELD)
    assert set(runs(application, "end").values()) == {1}


def _holding(application: Application, task: str) -> "subprocess.Popen[str]":
    """A worker that runs `HELD` tasks which wait."""
    # SQS may deliver more than once to a request of the stopped worker, and counts that
    application.worker_settings["default_max_attempts"] = "9"
    application.dispatch(*((task, {"number": number}) for number in range(HELD)))
    # where a lease that ran out is lost, messages come back to those who can take some
    spare = 0 if limits(application).late_settle else HELD
    worker = application.start_worker(*LEASE, "--concurrency", str(HELD + spare))
    until(lambda: runs(application, "start").total() == HELD, "the tasks have started")
    return worker


def _may_be_lost(application: Application, taken_over: int) -> int:
    """The most leases that a worker loses which was stopped, of which some were taken over.

    Where a lease is lost when it runs out, the worker keeps one only if the message comes back to
    it before it extends the lease.
    """
    return taken_over if limits(application).late_settle else HELD


def _over(application: Application) -> int:
    """Tasks that have ended in the first worker, with any outcome."""
    cancelled = application.output().count("cancelled: lease lost")
    return runs(application, "mixed").total() + cancelled


def _judge(application: Application, worker: "subprocess.Popen[str]", verdict: str) -> None:
    """Let the tasks of a worker end so."""
    draft = application.directory / "draft"
    draft.write_text(verdict)
    draft.rename(application.directory / f"verdict-{worker.pid}")
