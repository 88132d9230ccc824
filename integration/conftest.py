"""Options and fixtures of the integration tests."""

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from asynctasq.testing.brokers import do_without, find_program
from integration.application import QUEUES, Application
from integration.brokers import BROKERS, NoBroker, broker_url
from integration.rabbitmq_server import (
    MakeRabbit,
    RabbitServer,
    delete_ladder,
    delete_queues,
)
from integration.redis_server import MakeRedis, RedisServer
from integration.tables import with_tables


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    yield from _url(request, "redis")


@pytest.fixture(scope="session")
def rabbitmq_url(request: pytest.FixtureRequest) -> Iterator[str]:
    yield from _url(request, "rabbitmq")


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    yield from _url(request, "postgres")


@pytest.fixture(scope="session")
def mysql_url(request: pytest.FixtureRequest) -> Iterator[str]:
    yield from _url(request, "mysql")


@pytest.fixture(scope="session")
def mariadb_url(request: pytest.FixtureRequest) -> Iterator[str]:
    yield from _url(request, "mariadb")


@pytest.fixture(scope="session")
def sqs_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The endpoint."""
    yield from _url(request, "sqs")


def _url(request: pytest.FixtureRequest, broker: str) -> Iterator[str]:
    way: str = request.config.getoption("--brokers")
    try:
        with broker_url(BROKERS[broker], way) as url:
            yield url
    except NoBroker as error:
        do_without(request, str(error))


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
    find_program(request, "redis-server")
    with ExitStack() as stack:

        def make(*options: str) -> RedisServer:
            server = RedisServer(tmp_path, *options)
            stack.callback(server.kill)
            return server

        yield make


@pytest.fixture
def make_rabbitmq(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeRabbit]:
    """A function that makes a node of the test's own."""
    find_program(request, "rabbitmq-server")
    with ExitStack() as stack:

        def make() -> RabbitServer:
            server = RabbitServer(tmp_path)
            stack.callback(server.kill)
            return server

        yield make


@pytest.fixture
def redis_server(make_redis: MakeRedis) -> RedisServer:
    """A server that keeps acknowledged data; it is not started yet."""
    return make_redis("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def rabbitmq_server(make_rabbitmq: MakeRabbit) -> RabbitServer:
    """One that is not started yet."""
    return make_rabbitmq()


@pytest.fixture
def sqlite_settings(tmp_path: Path) -> dict[str, str]:
    return {"driver": "sqlite", "sqlite_path": str(tmp_path / "queue.db")}


@pytest.fixture
def redis_settings(redis_url: str, redis_prefix: str) -> dict[str, str]:
    return {"driver": "redis", "redis_url": redis_url, "redis_prefix": redis_prefix}


@pytest.fixture
def rabbitmq_settings(rabbitmq_url: str) -> Iterator[dict[str, str]]:
    """Settings with the test's own namespace, and heartbeats that soon detect a stopped worker."""
    name = f"test-{uuid.uuid4().hex}"
    yield {
        "driver": "rabbitmq",
        "rabbitmq_url": f"{rabbitmq_url}?heartbeat=2",
        "rabbitmq_exchange_name": name,
    }
    asyncio.run(delete_queues(rabbitmq_url, name, QUEUES))
    asyncio.run(delete_ladder(rabbitmq_url, name))


@pytest.fixture
def postgres_settings(postgres_url: str) -> Iterator[dict[str, str]]:
    with with_tables("postgres", postgres_url) as settings:
        yield settings


@pytest.fixture
def mysql_settings(mysql_url: str) -> Iterator[dict[str, str]]:
    with with_tables("mysql", mysql_url) as settings:
        yield settings


@pytest.fixture
def mariadb_settings(mariadb_url: str) -> Iterator[dict[str, str]]:
    with with_tables("mysql", mariadb_url) as settings:
        yield settings


@pytest.fixture
def sqs_settings(sqs_url: str) -> Iterator[dict[str, str]]:
    yield {
        "driver": "sqs",
        "sqs_endpoint_url": sqs_url,
        "sqs_region": "us-east-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }
    urlopen(Request(f"{sqs_url}/moto-api/reset", method="POST")).close()


@pytest.fixture(params=["sqlite", "redis", "postgres", "mysql", "rabbitmq", "sqs"])
def application(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Application]:
    """A directory with ``tasks.py``, and the settings of one driver."""
    made = Application(tmp_path, request.getfixturevalue(f"{request.param}_settings"))
    yield made
    made.close()
