"""The contract on the Redis that is there."""

import pytest
from pydantic import SecretStr

from asynctasq.testing.contract import (
    ControlContract,
    DiagnosticsContract,
    DriverContract,
    InspectorContract,
    NewDriver,
    UnreachableContract,
    WorkersContract,
)
from asynctasq.testing.ports import free_port
from asynctasq_redis import RedisDriver, RedisSettings


class TestRedis(
    DriverContract, InspectorContract, ControlContract, WorkersContract, DiagnosticsContract
):
    @pytest.fixture
    def new_driver(self, redis_url: str, redis_prefix: str) -> NewDriver:
        settings = RedisSettings(redis_url=SecretStr(redis_url), redis_prefix=redis_prefix)
        return lambda: RedisDriver(settings)


class TestNoRedis(UnreachableContract):
    @pytest.fixture
    def new_driver(self) -> NewDriver:
        settings = RedisSettings(redis_url=SecretStr(f"redis://127.0.0.1:{free_port()}"))
        return lambda: RedisDriver(settings)
