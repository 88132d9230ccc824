"""A task that blocks the event loop of its worker for three leases."""

import time

from asynctasq.testing.waiting import until
from integration.application import Application
from integration.faults.load import Report
from integration.faults.tally import finish, runs

LEASE = 1.0
NEIGHBOURS = 8


def test_nothing_runs_twice_while_the_loop_is_blocked(
    application: Application, report: Report
) -> None:
    neighbours = (("wait_for_file", {"number": number}) for number in range(NEIGHBOURS))
    application.dispatch(*neighbours, ("block_until_go", {"number": NEIGHBOURS}))
    application.start_worker("--lease", str(LEASE), "--concurrency", "10")
    until(lambda: runs(application, "start")[NEIGHBOURS] == 1, "the loop is blocked")
    application.start_worker("--lease", str(LEASE), "--concurrency", "10")
    until(lambda: application.is_up(1), "another worker stands by")
    time.sleep(3 * LEASE)  # this is the fault
    assert runs(application, "end").total() == 0
    assert application.stats().ready == 0
    (application.directory / "go").touch()
    over = time.monotonic()
    until(lambda: len(runs(application, "end")) == NEIGHBOURS + 1, "all go on")
    recovery = time.monotonic() - over
    row = finish(application, "loop blocked for 3 leases", NEIGHBOURS + 1, recovery=recovery)
    report(row)
    assert (row.lost, row.twice) == (0, 0)
    assert set(runs(application, "end").values()) == {1}
