"""The contract fails on a driver with a fault, and passes on it without."""

import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pytest

from asynctasq.drivers.memory import MemoryDriver
from asynctasq.testing.contract import (
    ControlContract,
    DiagnosticsContract,
    DriverContract,
    InspectorContract,
    WorkersContract,
)
from asynctasq.testing.faults import FAULTS

pytestmark = pytest.mark.slow

FAULTY = Path(__file__).with_name("faulty_drivers.py")
PROCESSES = 4  # the tests wait, they do not compute


@pytest.fixture(scope="module")
def caught(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the faults whose test failed."""
    tests = [f"{FAULTY}::Test{fault.__name__}::{test.__name__}" for fault, test in FAULTS.items()]
    reports = [tmp_path_factory.mktemp("faults") / "report.xml" for _ in range(PROCESSES)]
    with ThreadPoolExecutor() as pool:
        names = pool.map(failures, reports, [tests[part::PROCESSES] for part in range(PROCESSES)])
    return set().union(*names)


def failures(report: Path, tests: list[str]) -> set[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    # options of the run around it, such as processes of its own, are not for this one
    environment = {name: v for name, v in os.environ.items() if not name.startswith("PYTEST_")}
    run = subprocess.run(
        [*command, f"--junitxml={report}", *tests],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    cases = ElementTree.parse(report).iter("testcase")
    failed = [case for case in cases if case.find("failure") is not None]
    return {case.attrib["classname"].rpartition(".Test")[2] for case in failed}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_the_fault_is_caught(caught: set[str], fault: type[MemoryDriver]) -> None:
    assert fault.__name__ in caught


@pytest.mark.parametrize(
    "contract",
    [DriverContract, InspectorContract, ControlContract, WorkersContract, DiagnosticsContract],
)
def test_no_test_hides_another_of_the_same_name(contract: type) -> None:
    names = Counter(
        name for base in contract.__mro__ for name in vars(base) if name.startswith("test_")
    )
    assert [name for name, count in names.items() if count > 1] == []
