"""Where a broker for the tests comes from.

In this order: the URL in ``ASYNCTASQ_TEST_<BROKER>_URL``; a container, when a Docker engine
answers and has or gets the image; a server that listens on its default port on localhost; one
that the tests start themselves, where a broker can be had from PyPI.
``--brokers`` leaves out what does not fit: ``local`` the containers, ``containers`` the rest, and
``none``, the default, all but the URL.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

from integration.containers import NoContainer, container, wait_until_up

ROOT = Path(__file__).parents[1]


class NoBroker(Exception):
    """The broker is not available; the message names the places that were tried."""


@dataclass(frozen=True, slots=True)
class Broker:
    """How to find one kind of broker; a new kind is one more entry in `BROKERS`.

    Attributes:
        url: with ``{host}`` and ``{port}``.
        answers: whether the server at a URL takes commands.
        environment: of the container.
        local_url: of a server on localhost, where it differs from a container's.
        start: a server of the tests' own, and its URL.
    """

    name: str
    image: str
    port: int
    url: str
    answers: Callable[[str], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    local_url: str = ""
    start: "Callable[[], AbstractContextManager[str]] | None" = None

    @property
    def variable(self) -> str:
        """The environment variable that names a server to use."""
        return f"ASYNCTASQ_TEST_{self.name.upper()}_URL"


def _redis_answers(url: str) -> bool:
    import redis

    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _rabbitmq_answers(url: str) -> bool:
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname, parts.port or 5672), timeout=2) as one:
            one.sendall(b"AMQP\x00\x00\x09\x01")  # the server begins with a method frame
            return one.recv(1) == b"\x01"
    except OSError:
        return False


def _postgres_answers(url: str) -> bool:
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=3):
            return True
    except psycopg.Error:
        return False


def _mysql_answers(url: str) -> bool:
    import pymysql

    parts = urlsplit(url)
    try:
        pymysql.connect(
            host=parts.hostname,
            port=parts.port or 3306,
            user=parts.username,
            password=parts.password or "",
            database=parts.path.strip("/"),
            connect_timeout=3,
        ).close()
    except (pymysql.Error, OSError):
        return False
    return True


def _sqs_answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/moto-api/", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def _emulator() -> Generator[str, None, None]:
    command = [sys.executable, str(ROOT / "packages/asynctasq-sqs/tests/emulator.py"), "0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


BROKERS = {
    broker.name: broker
    for broker in (
        Broker("redis", "redis:8", 6379, "redis://{host}:{port}", _redis_answers),
        Broker("rabbitmq", "rabbitmq:4", 5672, "amqp://{host}:{port}", _rabbitmq_answers),
        Broker(
            "postgres",
            "postgres:17",
            5432,
            "postgresql://postgres:secret@{host}:{port}/postgres",
            _postgres_answers,
            {"POSTGRES_PASSWORD": "secret"},
            local_url="postgresql://postgres@{host}:{port}/test",
        ),
        Broker(
            "mysql",
            "mysql:9",
            3306,
            "mysql://root:secret@{host}:{port}/test",
            _mysql_answers,
            {"MYSQL_ROOT_PASSWORD": "secret", "MYSQL_DATABASE": "test"},
            local_url="mysql://root@127.0.0.1:{port}/test",
        ),
        Broker(
            "mariadb",
            "mariadb:11",
            3306,
            "mysql://root:secret@{host}:{port}/test",
            _mysql_answers,
            {"MARIADB_ROOT_PASSWORD": "secret", "MARIADB_DATABASE": "test"},
            local_url="mysql://root@127.0.0.1:{port}/test",
        ),
        Broker(
            "sqs", "motoserver/moto:5", 5000, "http://{host}:{port}", _sqs_answers, start=_emulator
        ),
    )
}


@contextmanager
def broker_url(broker: Broker, way: str) -> Generator[str, None, None]:
    """The URL of a running broker.

    Args:
        way: "none", "auto", "local" or "containers".

    Raises:
        NoBroker: there is none.
    """
    with ExitStack() as stack:
        yield _first(broker, way, stack)


def _first(broker: Broker, way: str, stack: ExitStack) -> str:
    missed: list[str] = []
    for source in WAYS[way]:
        try:
            return stack.enter_context(source(broker))
        except (NoBroker, NoContainer) as error:
            missed.append(str(error))
    raise NoBroker(f"no {broker.name}: {'; '.join(missed)}")


@contextmanager
def _given(broker: Broker) -> Generator[str, None, None]:
    if not (url := os.environ.get(broker.variable)):
        raise NoBroker(f"{broker.variable} is not set")
    yield url


@contextmanager
def _in_container(broker: Broker) -> Generator[str, None, None]:
    with container(broker.image, broker.port, broker.environment) as (host, port):
        url = broker.url.format(host=host, port=port)
        wait_until_up(broker.image, lambda: broker.answers(url))
        yield url


@contextmanager
def _local(broker: Broker) -> Generator[str, None, None]:
    try:
        socket.create_connection(("localhost", broker.port), timeout=1).close()
    except OSError:
        raise NoBroker(f"nothing listens on localhost:{broker.port}") from None
    url = (broker.local_url or broker.url).format(host="localhost", port=broker.port)
    if not broker.answers(url):
        raise NoBroker(f"what listens on localhost:{broker.port} takes no commands")
    yield url


@contextmanager
def _started(broker: Broker) -> Generator[str, None, None]:
    if broker.start is None:
        raise NoBroker("the tests cannot start one themselves")
    with broker.start() as url:
        yield url


Source = Callable[[Broker], AbstractContextManager[str]]
WAYS: dict[str, tuple[Source, ...]] = {
    "none": (_given,),
    "auto": (_given, _in_container, _local, _started),
    "local": (_given, _local, _started),
    "containers": (_in_container,),
}
