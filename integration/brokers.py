"""Where a broker for the tests comes from.

In this order: the URL in ``ASYNCTASQ_TEST_<BROKER>_URL``; a container, when a Docker engine
answers and has or gets the image; a server that listens on its default port on localhost.
``--brokers`` leaves out what does not fit: ``local`` the containers, ``containers`` the rest.
"""

import os
import socket
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

from integration.containers import NoContainer, container, wait_until_up


class NoBroker(Exception):
    """There is no such broker here; the message says what was looked for."""


@dataclass(frozen=True, slots=True)
class Broker:
    """How to find one kind of broker; a new kind is one more entry in `BROKERS`.

    Attributes:
        url: with ``{host}`` and ``{port}``.
        answers: whether the server at a URL takes commands.
        environment: of the container.
        local_url: of a server on localhost, where it differs from a container's.
    """

    name: str
    image: str
    port: int
    url: str
    answers: Callable[[str], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    local_url: str = ""

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
    """The URL of a running broker.

    Args:
        way: "auto", "local" or "containers".

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
    yield (broker.local_url or broker.url).format(host="localhost", port=broker.port)


Source = Callable[[Broker], AbstractContextManager[str]]
WAYS: dict[str, tuple[Source, ...]] = {
    "auto": (_given, _in_container, _local),
    "local": (_given, _local),
    "containers": (_in_container,),
}
