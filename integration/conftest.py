"""Options and fixtures of the integration tests."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest

from integration.application import Application
from integration.brokers import BROKERS, NoBroker, broker_url
from integration.redis_server import MakeRedis, RedisServer


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    way: str = request.config.getoption("--brokers")
    try:
        with broker_url(BROKERS["redis"], way) as url:
            yield url
    except NoBroker as error:
        _do_without(request, str(error))


@pytest.fixture
def redis_prefix(redis_url: str) -> Iterator[str]:
    """A prefix of the test's own; its keys are deleted at the end."""
    import redis

    prefix = f"test-{uuid.uuid4().hex}"
    yield prefix
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter(match=f"*{prefix}*", count=1000):
            client.delete(key)


@pytest.fixture
def make_redis(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeRedis]:
    """A function that makes a server of the test's own."""
    if shutil.which("redis-server") is None:
        _do_without(request, "there is no redis-server to start")
    with ExitStack() as stack:

        def make(*options: str) -> RedisServer:
            server = RedisServer(tmp_path, *options)
            stack.callback(server.kill)
            return server

        yield make


@pytest.fixture(params=["sqlite", "redis"])
def application(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Application]:
    """A directory with ``tasks.py``, and the settings of one driver."""
    if request.param == "sqlite":
        settings = {"driver": "sqlite", "sqlite_path": str(tmp_path / "queue.db")}
    else:
        url: str = request.getfixturevalue("redis_url")
        prefix: str = request.getfixturevalue("redis_prefix")
        settings = {"driver": "redis", "redis_url": url, "redis_prefix": prefix}
    made = Application(tmp_path, settings)
    yield made
    made.close()


def _do_without(request: pytest.FixtureRequest, reason: str) -> NoReturn:
    if request.config.getoption("--require-brokers"):
        pytest.fail(reason)
    pytest.skip(reason)
