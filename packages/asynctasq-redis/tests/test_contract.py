"""The driver seam's contract on a server."""

from uuid import uuid4

import pytest
from redis import Redis

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

    @pytest.fixture
    def refused_queue(self, settings: RedisSettings, redis_url: str) -> str:
        queue = f"refused-{uuid4().hex}"
        with Redis.from_url(redis_url) as client:
            client.set(f"{{{settings.redis_prefix}:{queue}}}:ready", "of another type")
        return queue
