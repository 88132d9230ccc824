"""The contract on a Cluster of three nodes."""

import pytest
from pydantic import SecretStr

from asynctasq.testing.contract import (
    DriverContract,
    InspectorContract,
    NewDriver,
    WorkersContract,
)
from asynctasq_redis import RedisDriver, RedisSettings


class TestCluster(DriverContract, InspectorContract, WorkersContract):
    """All of it, with every queue on some node."""

    @pytest.fixture
    def new_driver(self, cluster_url: str) -> NewDriver:
        settings = RedisSettings(redis_url=SecretStr(cluster_url))
        return lambda: RedisDriver(settings)
