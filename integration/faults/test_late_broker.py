"""Workers that are started before their broker."""

import time

import pytest

from asynctasq.testing.waiting import until
from integration.application import Application
from integration.faults.load import Report
from integration.faults.servers import Server
from integration.faults.tally import finish

pytestmark = pytest.mark.parametrize(
    "application", ["redis", "postgres", "mysql", "rabbitmq"], indirect=True
)


def test_a_worker_exits_with_one_line_and_a_fleet_retries(
    application: Application, server: Server, report: Report
) -> None:
    server.kill()
    assert application.start_worker().wait(30) == 1
    lines = [line for line in application.output().splitlines() if not line.startswith("  ")]
    assert lines[0].startswith("asynctasq ")  # and the facts below it
    assert len(lines) == 2
    assert lines[1].startswith("error: cannot reach ")
    assert f":{server.port}" in lines[1]
    fleet = application.start_worker("--processes", "2", "--lease", "2")
    until(lambda: "restarting in" in application.output(), "one has failed")
    server.start()
    there = time.monotonic()
    application.dispatch(("sleep", {"number": 0, "seconds": 0.0}))
    until(lambda: application.log()["end 0"] == 1, "the task ran")
    recovery = time.monotonic() - there
    assert fleet.poll() is None
    row = finish(application, "started before the broker", 1, recovery=recovery, exits=(0, 1))
    report(row)
    assert (row.lost, row.twice) == (0, 0)
