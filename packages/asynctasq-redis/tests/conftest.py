"""Where the tests find servers: one that is there already, and private ones that they stop."""

import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import RedisError

from asynctasq.testing.brokers import find_program, shared_url
from asynctasq.testing.ports import free_port
from asynctasq.testing.waiting import until
from asynctasq_redis import RedisDriver, RedisSettings

#: Seconds after which a server that does not come up, or a state that does not come, is missing.
PATIENCE = 20.0
SLOTS = 16384


@pytest.fixture
def anyio_backend() -> str:
    """Drivers are asyncio's."""
    return "asyncio"


@pytest.fixture(scope="session")
def redis_url(request: pytest.FixtureRequest) -> str:
    """A server that is there already."""
    return shared_url(request, "redis", 6379, "redis://localhost:6379")


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


@pytest.fixture(scope="session")
def redis_program(request: pytest.FixtureRequest) -> str:
    """What starts private servers."""
    return find_program(request, "redis-server")


@pytest.fixture
def server(redis_program: str, tmp_path: Path) -> Iterator["StartServer"]:
    """A function that starts a private server with these options."""
    with ExitStack() as stack:

        def start(*options: str) -> Server:
            one = Server(tmp_path / str(uuid4()), *options)
            stack.enter_context(running(one))
            return one

        yield start


@pytest.fixture(scope="module")
def cluster_url(redis_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Cluster of three masters that share the slots."""
    with cluster_in(tmp_path_factory.mktemp("cluster")) as servers:
        yield url_of_cluster(servers)


@pytest.fixture
def cluster(redis_program: str, tmp_path: Path) -> Iterator[tuple[Sequence["Server"], str]]:
    """The nodes of a Cluster of its own, which serve on when one is away, and its URL."""
    with cluster_in(tmp_path, "--cluster-require-full-coverage", "no") as servers:
        yield servers, url_of_cluster(servers)


@pytest.fixture
def sentinel(redis_program: str, tmp_path: Path) -> Iterator[tuple["Server", str]]:
    """A master with a replica, and the URL of the Sentinel that watches them."""
    with sentinel_in(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def sentinel_url(redis_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Sentinel whose master stays."""
    with sentinel_in(tmp_path_factory.mktemp("sentinel")) as (_, url):
        yield url


@pytest.fixture
def driver_on() -> "MakeDriver":
    """A function that makes a driver for a URL, with a prefix of its own."""
    return lambda url, **more: RedisDriver(RedisSettings(redis_url=SecretStr(url), **more))


class Server:
    """One process, which can be stopped and started again on the same port and data."""

    def __init__(self, directory: Path, *options: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self._directory = directory
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        common = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._directory))
        self._process = subprocess.Popen(
            ["redis-server", *self._options, *common],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self._answers)

    def stop(self) -> None:
        if self._process is not None:
            self.resume()
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None

    def pause(self) -> None:
        """Take commands and carry none out, until it is resumed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def ask(self, *command: object, password: str | None = None) -> object:
        with Redis(port=self.port, password=password, decode_responses=True) as client:
            return client.execute_command(*command)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


@contextmanager
def running(*servers: Server) -> Iterator[None]:
    """Start all, and stop them at the end."""
    try:
        for server in servers:
            server.start()
        yield
    finally:
        for server in servers:
            server.stop()


@contextmanager
def cluster_in(directory: Path, *more: str) -> Iterator[Sequence[Server]]:
    """Start three masters that share the slots."""
    options = ("--cluster-enabled", "yes", "--save", "", "--appendonly", "no", *more)
    servers = [Server(directory / str(number), *options) for number in range(3)]
    with running(*servers):
        for number, one in enumerate(servers):
            one.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            one.ask("CLUSTER", "ADDSLOTS", *range(number, SLOTS, len(servers)))
            one.ask("CLUSTER", "MEET", "127.0.0.1", servers[0].port)
        until(lambda: all(_is_complete(one, len(servers)) for one in servers))
        yield servers


def url_of_cluster(servers: Sequence[Server]) -> str:
    return "redis+cluster://" + ",".join(f"127.0.0.1:{one.port}" for one in servers)


@contextmanager
def sentinel_in(directory: Path) -> Iterator[tuple[Server, str]]:
    """Start a master with a replica, and a Sentinel."""
    options = ("--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0")
    master = Server(directory / "master", *options)
    replica = Server(directory / "replica", *options, "--replicaof", "127.0.0.1", str(master.port))
    config = directory / "sentinel.conf"
    config.write_text(
        f"sentinel monitor mymaster 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds mymaster 500\n"
        "sentinel failover-timeout mymaster 3000\n"
    )
    watcher = Server(directory, str(config), "--sentinel")
    with running(master, replica, watcher):
        until(lambda: "'state': 'online'" in str(master.ask("INFO", "replication")))
        until(lambda: "'slaves': 1" in str(watcher.ask("INFO", "sentinel")))
        yield master, f"redis+sentinel://127.0.0.1:{watcher.port}/mymaster"


def _is_complete(server: Server, nodes: int) -> bool:
    try:
        info = str(server.ask("CLUSTER", "INFO"))
    except RedisError:
        return False
    return "cluster_state:ok" in info and f"cluster_known_nodes:{nodes}" in info


StartServer = Callable[..., Server]
MakeDriver = Callable[..., RedisDriver]
