"""The broker the tests run on, and what is left of them there."""

import os
import socket
from collections.abc import Iterator
from uuid import uuid4

import pytest
from asynctasq_redis import RedisSettings
from pydantic import SecretStr
from redis import Redis


@pytest.fixture(scope="session")
def redis_url() -> str:
    """A server that is there already."""
    if url := os.environ.get("ASYNCTASQ_TEST_REDIS_URL"):
        return url
    try:
        socket.create_connection(("localhost", 6379), timeout=1).close()
    except OSError:
        pytest.skip("no Redis: set ASYNCTASQ_TEST_REDIS_URL, or start one on localhost:6379")
    return "redis://localhost:6379"


@pytest.fixture(scope="session")
def redis_prefix(redis_url: str) -> Iterator[str]:
    """A prefix of this session's own; its keys are deleted at the end."""
    prefix = f"test-{uuid4().hex}"
    yield prefix
    with Redis.from_url(redis_url) as client:
        for key in client.scan_iter(match=f"*{prefix}*", count=1000):
            client.delete(key)


@pytest.fixture
def settings(redis_url: str, redis_prefix: str) -> RedisSettings:
    """What the drivers of a test share."""
    return RedisSettings(redis_url=SecretStr(redis_url), redis_prefix=redis_prefix)
