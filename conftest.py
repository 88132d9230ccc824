"""Options of the whole test suite."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say which brokers to test on."""
    group = parser.getgroup("brokers")
    group.addoption(
        "--brokers",
        choices=["auto", "local", "containers"],
        default="auto",
        help="where brokers come from: containers first (auto), or only one of both",
    )
    group.addoption("--require-brokers", action="store_true", help="fail where a broker is missing")
