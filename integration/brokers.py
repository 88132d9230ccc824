"""Where a broker for the tests comes from.

In this order: the URL in ``ASYNCTASQ_TEST_<BROKER>_URL``; a container, when a Docker engine
answers; a server that listens on its default port on localhost. ``--brokers`` picks one way.
"""

import os
import socket
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

#: Seconds a container has to come up.
PATIENCE = 60.0


class NoBroker(Exception):
    """There is no such broker here; the message says what was looked for."""


@dataclass(frozen=True, slots=True)
class Broker:
    """How to find one kind of broker; a new kind is one more entry in `BROKERS`.

    Attributes:
        answers: whether the server at a URL takes commands; a container's port is open sooner.
    """

    name: str
    image: str
    port: int
    url: str
    answers: Callable[[str], bool]

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


BROKERS = {"redis": Broker("redis", "redis:8", 6379, "redis://{host}:{port}", _redis_answers)}


@contextmanager
def broker_url(broker: Broker, way: str) -> Generator[str, None, None]:
    """The URL of a running broker; raises `NoBroker`.

    Args:
        way: "auto", "local" or "containers".
    """
    given = os.environ.get(broker.variable)
    if given:
        yield given
    elif way != "local" and _docker_answers():
        with _container(broker) as url:
            yield url
    elif way != "containers" and _listens("localhost", broker.port):
        yield broker.url.format(host="localhost", port=broker.port)
    else:
        raise NoBroker(
            f"no {broker.name}: set {broker.variable}, start Docker, "
            f"or start a server on localhost:{broker.port}"
        )


@contextmanager
def _container(broker: Broker) -> Generator[str, None, None]:
    from testcontainers.core.container import DockerContainer

    with DockerContainer(broker.image).with_exposed_ports(broker.port) as running:
        host, port = running.get_container_host_ip(), running.get_exposed_port(broker.port)
        url = broker.url.format(host=host, port=port)
        deadline = time.monotonic() + PATIENCE
        while not broker.answers(url):
            if time.monotonic() > deadline:
                raise NoBroker(f"the container of {broker.image} did not come up")
            time.sleep(0.1)
        yield url


def _docker_answers() -> bool:
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=5)
        client.ping()
        client.close()
    except (DockerException, OSError):
        return False
    return True


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
