"""The contract of a broker that does not answer, on a driver that has none."""

import pytest

from asynctasq.drivers.memory import MemoryDriver
from asynctasq.errors import BrokerUnavailable
from asynctasq.testing.contract import NewDriver, UnreachableContract


class DriverOfNothing(MemoryDriver):
    async def connect(self) -> None:
        raise BrokerUnavailable("nobody answers at nowhere.example; is the broker running?")


class TestUnreachableDriver(UnreachableContract):
    @pytest.fixture
    def new_driver(self) -> NewDriver:
        return DriverOfNothing
