"""The contract of a broker that does not answer, on a driver that has none."""

from collections.abc import Sequence

import pytest

from asynctasq.drivers import Finding
from asynctasq.drivers.memory import MemoryDriver
from asynctasq.errors import BrokerUnavailable
from asynctasq.testing.contract import NewDriver, UnreachableContract


class DriverOfNothing(MemoryDriver):
    async def connect(self) -> None:
        raise BrokerUnavailable("nobody answers at nowhere.example; is the broker running?")

    async def diagnose(self) -> Sequence[Finding]:
        raise BrokerUnavailable("nobody answers at nowhere.example; is the broker running?")


class TestUnreachableDriver(UnreachableContract):
    @pytest.fixture
    def new_driver(self) -> NewDriver:
        return DriverOfNothing
