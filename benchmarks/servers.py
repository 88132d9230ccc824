"""The brokers to measure on, and what is known of their work."""

import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import redis

from benchmarks.distance import far_url
from benchmarks.environments import Leaves
from benchmarks.mysql import MySQLServer
from benchmarks.postgres import PostgresServer
from benchmarks.rabbitmq import RabbitMQServer


class Broker(Protocol):
    """An empty broker that goes away in the end.

    Attributes:
        name: what contenders name their queue, where they can.
    """

    url: str
    name: str

    def cpu(self) -> float | None:
        """Processor seconds it has used; None if it has no process of its own."""
        ...

    def count_commands(self, seconds: float, worker: int) -> int | None:
        """How many the process `worker` sends in the next `seconds`; None if that is unknown."""
        ...

    def close(self) -> None:
        """Delete all of the measurement's."""
        ...


class SqliteFile:
    """A database in `folder`."""

    name = "benchmark"

    def __init__(self, folder: str) -> None:
        self.url = f"sqlite:///{Path(folder) / 'queue.db'}"

    def cpu(self) -> None:
        """It runs in its clients."""

    def count_commands(self, seconds: float, worker: int) -> None:
        """It has none; let the time pass."""
        time.sleep(seconds)

    def close(self) -> None:
        """The folder goes with the file."""


class RedisServer:
    """A server on a free port, without persistence."""

    name = "benchmark"

    def __init__(self, folder: str) -> None:
        port = _free_port()
        self.url = f"redis://127.0.0.1:{port}"
        command = ["redis-server", "--port", str(port), "--save", "", "--dir", folder]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self._client = redis.Redis(port=port)
        _wait_for(port)

    def cpu(self) -> float:
        """Processor seconds, of the kernel's work for it as well."""
        info = self._client.info("cpu")
        return info["used_cpu_user"] + info["used_cpu_sys"]

    def count_commands(self, seconds: float, worker: int) -> int:
        """Commands of its only client; not those that scripts call, as its statistics would."""
        deadline = time.monotonic() + seconds
        count = 0
        with self._client.monitor() as monitor:
            while (left := deadline - time.monotonic()) > 0:
                if monitor.connection.can_read(timeout=left):
                    command: Any = monitor.next_command()
                    count += command["client_type"] != "lua"
        return count

    def close(self) -> None:
        """End it."""
        self._client.close()
        self._process.terminate()
        self._process.wait()


@contextmanager
def fresh_broker(kind: str, leaves: Leaves, latency: float) -> Generator[Broker, None, None]:
    """A new broker, for one contender, who `leaves` these queues, and one measurement.

    Its clients are `latency` seconds away, there and back.
    """
    with tempfile.TemporaryDirectory() as folder:
        server = _BROKERS[kind](folder, leaves)
        near = server.url
        try:
            with far_url(near, latency) if latency else nullcontext(near) as server.url:
                yield server
        finally:
            server.url = near
            server.close()


_BROKERS: dict[str, Callable[[str, Leaves], Broker]] = {
    "sqlite": lambda folder, leaves: SqliteFile(folder),
    "redis": lambda folder, leaves: RedisServer(folder),
    "rabbitmq": lambda folder, leaves: RabbitMQServer(leaves),
    "postgres": lambda folder, leaves: PostgresServer(),
    "mysql": lambda folder, leaves: MySQLServer(),
}


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _wait_for(port: int, patience: float = 10.0) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
