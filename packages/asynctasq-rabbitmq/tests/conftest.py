"""Fixtures: drivers on a shared server, clean-up, and private servers for tests to kill."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen
from uuid import uuid4

import pytest
from pamqp import commands
from pydantic import SecretStr

from asynctasq.drivers import Delivery
from asynctasq.errors import BrokerUnavailable
from asynctasq.testing.brokers import find_program, shared_url
from asynctasq.testing.ports import free_port
from asynctasq.testing.waiting import until
from asynctasq_rabbitmq import RabbitMQDriver, RabbitMQSettings
from asynctasq_rabbitmq.ladder import LEVELS
from asynctasq_rabbitmq.link import Link
from asynctasq_rabbitmq.names import Names

#: Debian's path of the program without the wrapper that changes the user.
DEBIAN = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


@pytest.fixture
def anyio_backend() -> str:
    """Run the tests on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def rabbitmq_url(request: pytest.FixtureRequest) -> str:
    """The URL of a running server."""
    return shared_url(request, "rabbitmq", 5672, "amqp://guest:guest@localhost:5672/")


@pytest.fixture(scope="session")
def exchange_name(rabbitmq_url: str) -> Iterator[str]:
    """Names unique to this session; its exchanges and the ladder are deleted at the end."""
    name = f"test-{uuid4().hex[:12]}"
    yield name
    names = Names(name)
    levels = [names.level(number) for number in range(LEVELS)]
    asyncio.run(delete(rabbitmq_url, queues=levels, exchanges=[*levels, names.due]))


@pytest.fixture
def settings(rabbitmq_url: str, exchange_name: str) -> Iterator[RabbitMQSettings]:
    """Settings shared by the drivers of a test; the queues that it used are deleted after it.

    A broker has file handles for a few hundred quorum queues only, if it was not given more.
    """
    used: set[str] = set()
    word = Names.word

    def recording(self: Names, queue: str) -> str:
        result = word(self, queue)
        used.add(queue)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Names, "word", recording)
        yield settings_of(rabbitmq_url, rabbitmq_exchange_name=exchange_name)
    names = Names(exchange_name)
    queues = [kind(queue) for queue in used for kind in (names.queue, names.dead)]
    asyncio.run(delete(rabbitmq_url, queues=queues))


@pytest.fixture
def driver_on(exchange_name: str) -> "MakeDriver":
    """Return a function that makes a driver for a URL."""
    return lambda url, **more: RabbitMQDriver(
        settings_of(url, **{"rabbitmq_exchange_name": exchange_name, **more})
    )


@pytest.fixture
async def proxy(rabbitmq_url: str, settings: RabbitMQSettings) -> AsyncIterator["Proxy"]:
    """A proxy to the server that can cut connections; the queues used over it are deleted."""
    url = settings.url()
    async with Proxy(url.host or "localhost", url.port or 5672) as one:
        yield one


@pytest.fixture
async def driver(proxy: "Proxy", driver_on: "MakeDriver") -> AsyncIterator[RabbitMQDriver]:
    """A driver whose connections can be cut."""
    one = driver_on(proxy.url)
    await one.connect()
    yield one
    await one.disconnect()


@pytest.fixture
async def other(settings: RabbitMQSettings) -> AsyncIterator[RabbitMQDriver]:
    """A driver whose connections are not cut."""
    one = RabbitMQDriver(settings)
    await one.connect()
    yield one
    await one.disconnect()


@pytest.fixture
def take() -> "Take":
    """Return a function that dequeues one message, from a broker that may be down for a moment."""

    async def one(driver: RabbitMQDriver, queue: str, *, limit: int = 1) -> Delivery:
        async with asyncio.timeout(20):
            while True:
                try:
                    taken = await driver.dequeue([queue], limit=limit, lease=60, wait=10)
                except BrokerUnavailable:
                    await asyncio.sleep(0.02)
                else:
                    if taken:
                        return taken[0]

    return one


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["PrivateServer"]:
    """A private server that tests may kill."""
    find_program(request, "rabbitmq-server", str(DEBIAN))
    find_program(request, "openssl")
    one = PrivateServer(tmp_path_factory.mktemp("rabbitmq"))
    try:
        one.start()
        yield one
    finally:
        one.kill()


def settings_of(url: str, **more: object) -> RabbitMQSettings:
    """Settings for a URL."""
    return RabbitMQSettings(rabbitmq_url=SecretStr(url), **more)


async def delete(url: str, *, queues: Sequence[str] = (), exchanges: Sequence[str] = ()) -> None:
    """Delete these queues and exchanges, where they exist."""
    link = Link(settings_of(url).url(), url, "asynctasq tests")
    await link.open()
    channel = await link.channel()
    frames = [
        *(commands.Queue.Delete(queue=one) for one in queues),
        *(commands.Exchange.Delete(exchange=one) for one in exchanges),
    ]
    for answer in [channel.send(frame) for frame in frames]:
        await channel.answer(answer)
    await link.close()


class PrivateServer:
    """One broker, which can be killed and started again on the same ports and data."""

    def __init__(self, directory: Path) -> None:
        self.port, self.management_port, distribution = (free_port() for _ in range(3))
        self.tls_port, self.certificate = free_port(), directory / "certificate.pem"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        plugins = directory / "enabled_plugins"
        plugins.write_text("[rabbitmq_management].\n")
        key = directory / "key.pem"
        subprocess.run(
            (
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-keyout", key, "-out", self.certificate),
                *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            ),
            check=True,
            capture_output=True,
        )
        config = directory / "rabbitmq.conf"
        config.write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}\n"
            f"ssl_options.certfile = {self.certificate}\n"
            f"ssl_options.keyfile = {key}\n"
            "management.tcp.ip = 127.0.0.1\n"
            f"management.tcp.port = {self.management_port}\n"
            "collect_statistics_interval = 1000\n"
        )
        self._environment = {
            **os.environ,
            "HOME": str(directory),
            "RABBITMQ_NODENAME": f"asynctasq-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(directory / "data"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_PID_FILE": str(directory / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_CONFIG_FILE": str(config),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    @property
    def management_url(self) -> str:
        return f"http://guest:guest@127.0.0.1:{self.management_port}"

    def start(self) -> None:
        program = str(DEBIAN) if DEBIAN.exists() else "rabbitmq-server"
        log = (self._directory / "output").open("ab")
        with log:
            self._process = subprocess.Popen(
                [program],
                env=self._environment,
                cwd=self._directory,  # a crashed node may leave a dump there
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(self._answers)

    def kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):  # it died by itself
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        self.kill()
        self.start()

    def control(self, *command: str) -> None:
        """Run rabbitmqctl."""
        program = DEBIAN.with_name("rabbitmqctl") if DEBIAN.exists() else "rabbitmqctl"
        node = self._environment["RABBITMQ_NODENAME"]
        subprocess.run(
            [program, "-n", node, *command], env=self._environment, check=True, capture_output=True
        )

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._directory / "output").read_text()
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"AMQP\0\0\x09\x01")
                connection.settimeout(1)
                if not connection.recv(1):
                    return False
            with urlopen(f"http://127.0.0.1:{self.management_port}/", timeout=1):
                return True
        except OSError:
            return False


class Proxy:
    """Forwards bytes to a port.

    Attributes:
        mute: what the server sends is held back.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._streams: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.mute = False
        self.port = 0

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await self._server.wait_closed()
        for task in list(self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def cut(self) -> None:
        """Drop all connections."""
        for stream in self._streams:
            stream.transport.abort()
        self._streams.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
        self._streams |= {writer, upstream_writer}
        for source, target, answers in (
            (reader, upstream_writer, False),
            (upstream_reader, writer, True),
        ):
            task = asyncio.create_task(self._pass_on(source, target, answers))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, answers: bool
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                while answers and self.mute:
                    await asyncio.sleep(0.01)
                target.write(data)
                await target.drain()
        target.transport.abort()


MakeDriver = Callable[..., RabbitMQDriver]
Take = Callable[..., Awaitable[Delivery]]
