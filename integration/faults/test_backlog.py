"""A worker that finds far more than it can hold."""

import time

import pytest

from asynctasq.drivers import BaseDriver, Inspector, Message, State
from asynctasq.testing.waiting import until
from integration.application import Application
from integration.faults.load import LOUD, Report, body, enqueue
from integration.faults.report import Row
from integration.faults.vitals import complaints, vitals

#: Messages of the quick form; five times as many are the hundred thousand of the long one.
USUAL = 20_000
FEWER = {"sqs": 300, "rabbitmq": 10_000}
#: Bytes by which a worker may grow while it works a backlog off: more would grow with the backlog.
FLAT = 24 * 1024 * 1024
#: Tasks in a second, on a machine that is busy with other things.
SANE = {"sqs": 2.0}


def test_a_backlog_is_worked_off(application: Application, report: Report, scale: int) -> None:
    driver = application.settings["driver"]
    tasks = FEWER.get(driver, USUAL) * scale
    work = body("note", word="x")
    enqueue(application, [Message(f"backlog-{n}", "default", work) for n in range(tasks)])
    started = time.monotonic()
    worker = application.start(
        *LOUD, "-m", "asynctasq", "worker", "--concurrency", "50", "--log-level", "warning"
    )
    until(lambda: _ran(application) > 0, "the first has run")
    begun = time.monotonic()
    until(lambda: _ran(application) > tasks / 10, "it is under way", 60.0)
    early = vitals(worker.pid).memory
    assert application.stats().ready < tasks
    application.ask(_browse)
    until(lambda: _ran(application) >= tasks * 0.9, "most have run", 240.0 * scale)
    late = vitals(worker.pid).memory
    rate = _ran(application) / (time.monotonic() - begun)
    until(lambda: _ran(application) >= tasks, "all have run", 60.0)
    application.end()
    row = Row("a backlog", driver, tasks, 0, _ran(application) - tasks, 0, begun - started)
    report(row)
    assert row.twice == 0
    assert late - early < FLAT
    assert rate > SANE.get(driver, 100.0)
    assert complaints(application.output()) == [], application.output()


def _ran(application: Application) -> int:
    log = application.directory / "log.txt"
    return log.read_bytes().count(b"\n") if log.exists() else 0


async def _browse(driver: BaseDriver) -> None:
    """Browse the waiting messages, if the driver can show them.

    What is taken at this moment may be missing in a page.
    """
    if not isinstance(driver, Inspector) or State.READY not in driver.limits.inspects:
        return
    for _ in range(50):
        found = await driver.browse("default", State.READY, limit=100)
        (left,) = await driver.counts(["default"])
        if found or left.ready < 100:
            return
    pytest.fail(f"nothing is to be seen of {left.ready} that wait")
