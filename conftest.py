"""Options of the whole test suite, and which tests run by default."""

import signal

import pytest

from asynctasq.testing.brokers import add_server_directories

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # so a shell starts what runs in the background; the commands that tests interrupt inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Seconds that one of the integration tests may take.
INTEGRATION_LIMIT = 600
#: On which tests run that are marked "any_driver".
TWO_DRIVERS = ("sqlite", "redis")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say which tests run, and on which brokers."""
    group = parser.getgroup("brokers")
    group.addoption(
        "--brokers",
        choices=["none", "auto", "local", "containers"],
        default="none",
        help="none: only brokers given by ASYNCTASQ_TEST_<BROKER>_URL (the default); "
        "local: also servers on localhost; containers: only those; auto: containers first",
    )
    group.addoption("--require-brokers", action="store_true", help="fail where a broker is missing")
    group.addoption(
        "--all-drivers",
        action="store_true",
        help="run each test on every driver, also where the driver makes no difference",
    )
    group.addoption(
        "--flakiest", type=int, metavar="N", help="only the tests that were flaky, N times each"
    )
    group.addoption("--slow", action="store_true", help="also run the tests that take long")
    group.addoption(
        "--faults-scale", type=int, default=1, metavar="N", help="N times the work in each fault"
    )
    group.addoption("--faults-table", metavar="FILE", help="write what the faults cost to FILE")


def pytest_configure(config: pytest.Config) -> None:
    """Find the programs of servers, where tests may start some."""
    if config.getoption("--brokers") != "none":
        add_server_directories()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat what was flaky."""
    times = metafunc.config.getoption("--flakiest")
    if times and metafunc.definition.get_closest_marker("flakiest"):
        metafunc.fixturenames.append("repetition")
        metafunc.parametrize("repetition", range(times))


@pytest.fixture
def repetition() -> None:
    """The number of the repetition, where there are several."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what was not asked for; give integration tests more time."""
    chosen: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        if "integration" in item.path.parts and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(INTEGRATION_LIMIT))
        (chosen if _is_wanted(item) else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = chosen


def _is_wanted(item: pytest.Item) -> bool:
    driver = item.callspec.params.get("application") if hasattr(item, "callspec") else None
    option = item.config.getoption
    if option("--flakiest"):
        marker = item.get_closest_marker("flakiest")
        return marker is not None and (not marker.args or driver in marker.args)
    makes_no_difference = item.get_closest_marker("any_driver") and not option("--all-drivers")
    if makes_no_difference and driver not in (None, *TWO_DRIVERS):
        return False
    is_slow = "faults" in item.path.parts or item.get_closest_marker("slow") is not None
    return not is_slow or option("--slow")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say how to run what was left out."""
    if config.getoption("--brokers") == "none" or not config.getoption("--slow"):
        terminalreporter.write_line(
            "Left out: tests that need a broker (--brokers=local or --brokers=containers), "
            "and tests that take long (--slow); CONTRIBUTING.md has more."
        )
