"""The whole contract on the memory driver."""

from uuid import uuid4

import pytest

from asynctasq.drivers.memory import MemoryDriver, MemorySettings
from asynctasq.testing.contract import (
    ControlContract,
    DiagnosticsContract,
    DriverContract,
    InspectorContract,
    NewDriver,
    WorkersContract,
)


class TestMemoryDriver(
    DriverContract, InspectorContract, ControlContract, WorkersContract, DiagnosticsContract
):
    @pytest.fixture
    def new_driver(self) -> NewDriver:
        settings = MemorySettings(memory_url=f"memory://{uuid4().hex}")
        return lambda: MemoryDriver(settings)
