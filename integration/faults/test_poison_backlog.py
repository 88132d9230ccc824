"""Many messages that kill the process that runs them, beside harmless messages."""

from dataclasses import replace

import pytest

from asynctasq.testing.waiting import until
from integration.application import Application
from integration.faults.load import Report, body
from integration.faults.poison import abandon, add_poison, killers
from integration.faults.tally import finish, runs

POISON, HEALTHY = "high", "default"
#: With `--faults-scale 100`, a thousand; on the emulator of SQS, which is slow, a fifth of it.
MOST = 10
OPTIONS = ("--lease", "5", "--concurrency", "20", "--queues", f"{POISON},{HEALTHY}")


@pytest.mark.timeout(900)
def test_a_backlog_of_poison_holds_up_no_other_queue(
    application: Application, report: Report, scale: int
) -> None:
    """Each killer has one attempt left, as does a task that runs until the others have ended."""
    add_poison(application)
    application.worker_settings["default_max_attempts"] = "2"
    slow = 5 if application.settings["driver"] == "sqs" else 1
    poison, healthy = MOST * scale // slow, 300 // slow
    lasting = body("wait_for_file", number=poison)
    abandon(application, POISON, [lasting, *killers(poison)])
    first = poison + 1
    application.dispatch(
        *(("sleep", {"number": first + n, "seconds": 0.01}) for n in range(healthy)), queue=HEALTHY
    )
    workers = [application.start_worker(*OPTIONS) for _ in range(2)]
    until(lambda: len(runs(application, "end")) == healthy, "the healthy queue is empty")
    until(lambda: application.stats(POISON).dead == poison, "all poison is dead", 600)
    assert all(one.poll() is None for one in workers), "a worker died"
    (application.directory / "go").touch()
    until(lambda: len(runs(application, "end")) == healthy + 1, "the long task has ended")
    row = finish(application, f"{poison} last attempts kill", first + healthy, raises=True)
    report(replace(row, lost=row.lost - poison, dead=poison))
    assert set(runs(application, "start").values()) == {1}
    assert len(runs(application, "end")) == healthy + 1
    assert application.stats(POISON).dead == poison
