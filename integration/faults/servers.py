"""A server of the tests' own for every driver, which they may kill: never the machine's."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from integration.brokers import ROOT
from integration.database_servers import MariaDBServer, PostgresServer, postgres_program
from integration.rabbitmq_server import RabbitServer
from integration.redis_server import RedisServer


class Server(Protocol):
    """A server that can be killed, and restarted with its stored data."""

    port: int
    url: str

    def start(self) -> None: ...

    def kill(self) -> None: ...


class Emulator:
    """SQS on this machine. It loses its data when it ends, so no test kills it."""

    def __init__(self, folder: Path) -> None:
        self.port, self.url = 0, ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and read its URL."""
        command = [sys.executable, str(ROOT / "packages/asynctasq-sqs/tests/emulator.py"), "0"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        self.port = int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """End it."""
        if self._process is not None:
            with self._process:
                self._process.kill()


def _durable_redis(folder: Path) -> RedisServer:
    return RedisServer(folder, "--appendonly", "yes", "--appendfsync", "always")


#: How to make a server of each driver, and the program it needs.
KINDS: dict[str, tuple[Callable[[Path], Server], str]] = {
    "redis": (_durable_redis, "redis-server"),
    "postgres": (PostgresServer, postgres_program("postgres")),
    "mysql": (MariaDBServer, "mariadb-install-db"),
    "rabbitmq": (RabbitServer, "rabbitmq-server"),
    "sqs": (Emulator, sys.executable),
}


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


class Servers:
    """One server of each kind, started when a test first needs it.

    Args:
        folder: their data.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: dict[str, Server] = {}

    def get(self, driver: str) -> Server:
        """The server of a driver, which is up."""
        if driver not in self._started:
            make, _ = KINDS[driver]
            server = self._started[driver] = make(self._folder)
            server.start()
        server = self._started[driver]
        if not _listens(server.port):  # a test failed between its end and its start
            server.kill()
            server.start()
        return server

    def close(self) -> None:
        """Kill them all."""
        for server in self._started.values():
            server.kill()
