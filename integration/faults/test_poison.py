"""Messages that kill the process that runs or reads them, every time."""

import signal
from collections.abc import Mapping

import pytest

from asynctasq.drivers import State
from asynctasq.testing.waiting import until
from integration.application import Application
from integration.faults.load import Report, body
from integration.faults.poison import add_poison
from integration.faults.report import Row
from integration.faults.tally import finish, runs

NEIGHBOURS = 8
#: With a lease that a busy machine does not lose, as that would cost an attempt.
OPTIONS = ("--lease", "3", "--concurrency", "20", "--processes", "2")
DIED = "the process that {} the {} died (exit code -{}): {}"
BY_KILL = DIED.format("ran", "task", 9, "SIGKILL")


@pytest.fixture(autouse=True)
def _poison(application: Application) -> None:
    add_poison(application)


@pytest.mark.parametrize(
    ("mode", "max_attempts"), [("kill_on_loop", 2), ("kill_in_thread", 3), ("kill_in_process", 2)]
)
def test_a_killer_runs_as_often_as_it_may(
    application: Application, report: Report, mode: str, max_attempts: int
) -> None:
    """Its neighbours die with their workers, and run again: they are dead of nothing."""
    row = _run_beside_neighbours(application, mode, max_attempts)
    report(row)
    assert row.lost == 0
    assert set(runs(application, "end").values()) == {1}
    assert runs(application, "start")[NEIGHBOURS] == max_attempts
    assert max(runs(application, "start").values()) <= max_attempts
    assert _note(application) == f"WorkerDied: {BY_KILL}"


@pytest.mark.flakiest("sqs")
def test_with_one_attempt_it_does_not_run_again(application: Application, report: Report) -> None:
    application.worker_settings["default_max_attempts"] = "1"
    application.dispatch(("kill_on_loop", {"number": 0}))
    application.start_worker(*OPTIONS)
    until(lambda: application.stats().dead == 1, "it is dead")
    report(finish(application, "a task with one attempt kills its worker", 1, dead=1))
    assert runs(application, "start") == {0: 1}
    assert _note(application).startswith(
        "WorkerDied: delivered 2 times, allowed are 1 attempts: its workers died"
    )


def test_what_kills_its_reader_kills_one_worker_and_one_child(
    application: Application, report: Report
) -> None:
    """It would kill worker after worker, because its `max_attempts` is never read."""
    _run_with_module(application, report, "kills_on_import")


@pytest.mark.parametrize("application", ["sqlite", "redis"], indirect=True)
def test_so_does_what_crashes_its_reader(application: Application, report: Report) -> None:
    _run_with_module(application, report, "segfaults_on_import")


def _run_with_module(application: Application, report: Report, module: str) -> None:
    application.enqueue(*(body("note", word=str(number)) for number in range(NEIGHBOURS)))
    application.enqueue(body("call", module=module))
    application.start_worker(*OPTIONS)
    until(lambda: application.stats().dead == 1, "it is dead")
    until(lambda: _noted(application) == NEIGHBOURS, "its neighbours have run")
    application.end(dead=1, exits=(0, -signal.SIGKILL))
    driver = application.settings["driver"]
    report(Row(f"a module {module}", driver, NEIGHBOURS + 1, 0, 0, dead=1, recovery=None))
    assert len(runs(application, "killed")) == 2
    number, name = (11, "SIGSEGV") if module.startswith("segfaults") else (9, "SIGKILL")
    assert _note(application) == f"WorkerDied: {DIED.format('read', 'message', number, name)}"


def _run_beside_neighbours(application: Application, mode: str, max_attempts: int) -> Row:
    application.worker_settings["default_max_attempts"] = str(max_attempts)
    half = NEIGHBOURS // 2
    calls: list[tuple[str, Mapping[str, object]]]
    calls = [("sleep", {"number": n, "seconds": 0.2}) for n in range(NEIGHBOURS)]
    application.dispatch(*calls[:half], (mode, {"number": NEIGHBOURS}), *calls[half:])
    application.start_worker(*OPTIONS)  # with a supervisor, which replaces those that die
    until(lambda: application.stats().dead == 1, "the killer is dead")
    until(lambda: len(runs(application, "end")) == NEIGHBOURS, "its neighbours have run")
    fault = f"{mode.replace('kill', 'a task kills its process')}, {max_attempts} attempts"
    return finish(application, fault.replace("_", " "), NEIGHBOURS + 1, dead=1)


def _noted(application: Application) -> int:
    return sum(application.log()[str(number)] > 0 for number in range(NEIGHBOURS))


def _note(application: Application) -> str:
    (dead,) = application.browse(State.DEAD)
    return dead.note.strip().splitlines()[-1].removeprefix("asynctasq.errors.")
