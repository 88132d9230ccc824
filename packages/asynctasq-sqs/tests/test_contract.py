"""The driver seam's contract on an emulator of SQS."""

from collections.abc import Callable
from typing import ClassVar

import pytest

from asynctasq.testing.contract import (
    DriverContract,
    InspectorContract,
    NewDriver,
    UnreachableContract,
)
from asynctasq_sqs import SQSDriver, SQSSettings


class TestSQS(DriverContract, InspectorContract):
    """The whole contract with standard queues."""

    large: ClassVar[int] = 80

    @pytest.fixture
    def new_driver(self, settings: SQSSettings) -> NewDriver:
        return lambda: SQSDriver(settings)


class TestUnreachable(UnreachableContract):
    """An endpoint on which nothing listens."""

    @pytest.fixture
    def new_driver(self, settings_for: Callable[..., SQSSettings]) -> NewDriver:
        return lambda: SQSDriver(settings_for("http://127.0.0.1:1"))
