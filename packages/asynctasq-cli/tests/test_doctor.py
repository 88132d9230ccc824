"""``asynctasq doctor``, on SQLite files and on drivers with given findings."""

from collections.abc import Sequence

import pytest

from asynctasq import DriverFactory
from asynctasq.drivers import Finding, Level
from asynctasq.drivers.memory import MemoryDriver
from asynctasq.errors import BrokerUnavailable
from asynctasq_cli.main import run

FINE = Finding("version", "1.2")
COULD_BE_BETTER = Finding("vacuum", "off", Level.WARNING, "turn it on")
BROKEN = Finding("tables", "\x1b[31mnone", Level.PROBLEM, "run: asynctasq migrate")


@pytest.fixture
def finding(monkeypatch: pytest.MonkeyPatch):
    """A function that runs the doctor on a driver with these findings."""
    monkeypatch.setenv("ASYNCTASQ_DRIVER", "memory")

    def doctor(findings: Sequence[Finding], *words: str) -> int:
        async def diagnose(self: MemoryDriver) -> Sequence[Finding]:
            return findings

        monkeypatch.setattr(MemoryDriver, "diagnose", diagnose)
        return run(["doctor", *words])

    return doctor


@pytest.mark.parametrize(
    ("findings", "code", "verdict"),
    [
        ([FINE], 0, "reachable"),
        ([FINE, COULD_BE_BETTER], 0, "reachable, 1 warning"),
        ([COULD_BE_BETTER, COULD_BE_BETTER], 0, "reachable, 2 warnings"),
        ([BROKEN, FINE, COULD_BE_BETTER], 1, "reachable, 1 problem, 1 warning"),
    ],
)
def test_only_a_problem_is_a_failure(finding, capsys, findings, code, verdict) -> None:
    assert finding(findings) == code
    assert capsys.readouterr().out.splitlines()[-1] == f"memory at memory://default: {verdict}"


def test_the_table_has_the_advice(finding, capsys) -> None:
    finding([FINE, COULD_BE_BETTER, BROKEN])
    lines = capsys.readouterr().out.splitlines()
    (warning,) = [line for line in lines if "vacuum" in line]
    assert [cell.strip() for cell in warning.split("│")[1:-1]] == [
        *("vacuum", "off", "warning", "turn it on")
    ]
    (problem,) = [line for line in lines if "asynctasq migrate" in line]
    assert "\\x1b[31mnone" in problem
    assert "\x1b" not in problem


def test_json_has_a_list_of_findings(shell) -> None:
    answer = shell.json("doctor", "--sqlite-synchronous", "normal")
    assert answer["reachable"] is True
    assert answer["problem"] is None
    (found,) = [finding for finding in answer["findings"] if finding["name"] == "synchronous"]
    assert (found["value"], found["level"]) == ("normal", "warning")
    assert found["advice"]
    assert not (shell.folder / "asynctasq.db").exists()


def test_an_unreadable_broker_is_a_failure(shell) -> None:
    answer = shell.run("doctor", "--sqlite-path", "tasks.py")
    assert answer.returncode == 1
    assert "it is no SQLite database" in answer.stdout.splitlines()[-1]


class SilentDriver(MemoryDriver):
    """A driver without the `Diagnostics` capability."""

    diagnose = None  # type: ignore[assignment]


class AbsentDriver(SilentDriver):
    """A driver whose broker is unavailable."""

    async def connect(self) -> None:
        raise BrokerUnavailable("no response")


@pytest.mark.parametrize(
    ("driver", "code", "verdict"),
    [(SilentDriver, 0, "reachable"), (AbsentDriver, 1, "no response")],
)
def test_without_diagnostics_connecting_is_the_check(monkeypatch, capsys, driver, code, verdict):
    monkeypatch.setenv("ASYNCTASQ_DRIVER", "memory")
    monkeypatch.setattr(DriverFactory, "create_from_config", lambda config: driver())
    assert run(["doctor"]) == code
    assert capsys.readouterr().out.splitlines()[-1].endswith(f": {verdict}")
