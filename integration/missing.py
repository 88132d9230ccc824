"""What a test does where something it needs is missing."""

from typing import NoReturn

import pytest


def do_without(request: pytest.FixtureRequest, reason: str) -> NoReturn:
    """Skip, or fail where brokers are required."""
    if request.config.getoption("--require-brokers"):
        pytest.fail(reason)
    pytest.skip(reason)
