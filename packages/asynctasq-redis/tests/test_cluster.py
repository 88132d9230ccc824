"""The contract on a Cluster of three nodes."""

from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis.cluster import RedisCluster

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

    @pytest.fixture
    def refused_queue(self, cluster_url: str) -> str:
        queue = f"refused-{uuid4().hex}"
        node = cluster_url.replace("+cluster", "").partition(",")[0]
        with RedisCluster.from_url(node) as client:
            client.set(f"{{asynctasq:{queue}}}:ready", "of another type")
        return queue
