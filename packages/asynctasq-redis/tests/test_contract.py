"""The driver seam's contract on a server."""

import pytest

from asynctasq.testing.contract import (
    ControlContract,
    DiagnosticsContract,
    DriverContract,
    InspectorContract,
    NewDriver,
    WorkersContract,
)
from asynctasq_redis import RedisDriver, RedisSettings


class TestRedis(
    DriverContract, InspectorContract, ControlContract, WorkersContract, DiagnosticsContract
):
    """All of it on one server."""

    @pytest.fixture
    def new_driver(self, settings: RedisSettings) -> NewDriver:
        return lambda: RedisDriver(settings)
