"""Options of the whole test suite, and which tests run by default."""

import signal

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # so a shell starts what runs in the background; the commands that tests interrupt inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Seconds that one of the integration tests may take.
INTEGRATION_LIMIT = 600


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
    group.addoption("--slow", action="store_true", help="also run the tests that take long")
    group.addoption(
        "--faults-scale", type=int, default=1, metavar="N", help="N times the work in each fault"
    )
    group.addoption("--faults-table", metavar="FILE", help="write what the faults cost to FILE")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long unless asked for; give integration tests more time."""
    chosen: list[pytest.Item] = []
    slow: list[pytest.Item] = []
    for item in items:
        if "integration" in item.path.parts and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(INTEGRATION_LIMIT))
        is_slow = "faults" in item.path.parts or item.get_closest_marker("slow") is not None
        (slow if is_slow and not config.getoption("--slow") else chosen).append(item)
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = chosen


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say how to run what was left out."""
    if config.getoption("--brokers") == "none" or not config.getoption("--slow"):
        terminalreporter.write_line(
            "Left out: tests that need a broker (--brokers=local or --brokers=containers), "
            "and tests that take long (--slow); CONTRIBUTING.md has more."
        )
