"""Signals that end workers while their broker is unreachable or slow."""

import signal
import subprocess
import time

import pytest

from asynctasq.testing.waiting import until
from integration.application import Application
from integration.faults.load import Report
from integration.faults.proxy import Proxy
from integration.faults.tally import finish, limits, runs

#: Seconds in which a worker that has nothing to settle ends.
PROMPT = 8.0
#: Seconds that the last outcomes have to reach the broker, as documented, and some more.
FLUSH = 10.0 + PROMPT
AWAY = "the broker is unavailable"

pytestmark = pytest.mark.parametrize(
    "application", ["redis", "postgres", "mysql", "rabbitmq", "sqs"], indirect=True
)


def test_while_it_connects(application: Application, proxy: Proxy) -> None:
    """Nothing was begun, so nothing is brought to an end."""
    proxy.vanish = True
    worker = application.start_worker()
    until(lambda: "concurrency" in application.output(), "it has begun")
    assert _ends(worker, PROMPT) in (0, -signal.SIGTERM)


def test_while_it_settles(application: Application, proxy: Proxy, report: Report) -> None:
    application.dispatch(*(("sleep", {"number": n, "seconds": 0.1}) for n in range(40)))
    worker = application.start_worker("--concurrency", "20", "--lease", "3")
    until(lambda: len(runs(application, "start")) >= 20, "it works")
    proxy.delay = 0.3  # each outcome is on its way for so long
    until(lambda: len(runs(application, "end")) >= 20, "outcomes are on their way")
    assert _ends(worker, FLUSH) == 0, application.output()
    proxy.delay = 0.0
    application.start_worker("--lease", "3")
    until(lambda: len(runs(application, "end")) == 40, "another runs the others")
    row = finish(application, "SIGTERM while it settles", 40)
    report(row)
    assert (row.lost, row.twice) == (0, 0), application.output()


def test_while_the_broker_is_away(application: Application, proxy: Proxy) -> None:
    worker = application.start_worker("--lease", "3")
    application.dispatch(("sleep", {"number": 0, "seconds": 0.0}))
    until(lambda: len(runs(application, "end")) == 1, "it works")
    until(lambda: application.stats().unfinished == 0, "it has settled")
    _cut_off(proxy)
    until(lambda: AWAY in application.output(), "it has noticed")
    assert _ends(worker, PROMPT) == 0, application.output()
    finish(application, "SIGTERM while the broker is away", 1)


@pytest.mark.flakiest("sqs")
def test_with_outcomes_that_wait(application: Application, proxy: Proxy, report: Report) -> None:
    """They have ten seconds to arrive; but where the message was the connection's, it is gone."""
    application.dispatch(("wait_for_file", {"number": 0}))
    worker = application.start_worker("--lease", "30")
    until(lambda: len(runs(application, "start")) == 1, "it works")
    _cut_off(proxy)
    until(lambda: AWAY in application.output(), "it has noticed")
    (application.directory / "go").touch()
    until(lambda: len(runs(application, "end")) == 1, "the task has ended")
    worker.send_signal(signal.SIGTERM)
    until(lambda: "starting no others" in application.output(), "the worker heard of it")
    proxy.refuse = False
    back = time.monotonic()
    assert worker.wait(FLUSH) == 0, application.output()
    recovery = time.monotonic() - back
    application.start_worker()
    row = finish(application, "SIGTERM while outcomes wait", 1, recovery=recovery)
    report(row)
    assert row.lost == 0
    assert row.twice <= (0 if limits(application).leases_outlive_connections else 1)


def _cut_off(proxy: Proxy) -> None:
    proxy.refuse = True
    proxy.cut()


def _ends(worker: "subprocess.Popen[str]", patience: float) -> int:
    """Signal a worker and return its exit code; it ends in time."""
    worker.send_signal(signal.SIGTERM)
    return worker.wait(patience)
