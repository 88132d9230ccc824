"""A task that kills its worker every time it runs."""

from asynctasq.core.seclusion import CHANCES_IF_INEXACT

from asynctasq.drivers import State
from asynctasq.drivers.registry import driver_class
from integration.application import Application, until
from integration.faults.load import Report
from integration.faults.tally import finish, runs

NEIGHBOURS = 8
#: Of the poisonous task and of its neighbours alike; one more, alone, is everybody's last chance,
#: and a few more where deliveries count that nothing began with.
MAX_ATTEMPTS = 2


def test_poison_is_dead_in_the_end_and_harms_nobody(
    application: Application, report: Report
) -> None:
    """Its neighbours were held by the workers that died, at every attempt but the last."""
    exact = driver_class(application.settings["driver"]).limits.exact_attempts
    most = MAX_ATTEMPTS + (1 if exact else CHANCES_IF_INEXACT)
    application.worker_settings["default_max_attempts"] = str(MAX_ATTEMPTS)
    half = NEIGHBOURS // 2
    calls = [("sleep", {"number": n, "seconds": 0.2}) for n in range(NEIGHBOURS)]
    poison = ("kill_worker", {"number": NEIGHBOURS})
    application.dispatch(*calls[:half], poison, *calls[half:])
    options = ("--lease", "1", "--concurrency", "20")
    application.start_worker(*options, "--processes", "2")  # which replaces those that die
    until(lambda: application.stats().dead == 1, "the poison is dead", 60)
    until(lambda: len(runs(application, "end")) == NEIGHBOURS, "its neighbours have run", 60)
    assert "its workers died" in application.browse(State.DEAD)[0].note
    row = finish(application, "a task kills its worker", NEIGHBOURS + 1, dead=1)
    report(row)
    assert row.lost == 0
    assert 1 <= runs(application, "start")[NEIGHBOURS] <= most
    assert row.twice <= most - 1 + (most - 1) * NEIGHBOURS
