"""Brokers of the benchmark's own, and what they say of their work."""

import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import redis


class Broker(Protocol):
    """An empty broker that goes away in the end."""

    url: str

    def cpu(self) -> float | None:
        """Processor seconds it has used; None if it has no process of its own."""
        ...

    def count_commands(self, seconds: float) -> int | None:
        """How many commands clients send in the next `seconds`; None if there are no commands."""
        ...


class SqliteFile:
    """A database in `folder`."""

    def __init__(self, folder: str) -> None:
        self.url = f"sqlite:///{Path(folder) / 'queue.db'}"

    def cpu(self) -> None:
        """It runs in its clients."""

    def count_commands(self, seconds: float) -> None:
        """It has none; let the time pass."""
        time.sleep(seconds)


class RedisServer:
    """A server on a free port, without persistence."""

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

    def count_commands(self, seconds: float) -> int:
        """Commands that clients sent; not those that scripts call, as its statistics would."""
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
def fresh_broker(kind: str) -> Generator[Broker, None, None]:
    """A new broker, for one contender and one measurement."""
    with tempfile.TemporaryDirectory() as folder:
        if kind == "sqlite":
            yield SqliteFile(folder)
            return
        server = RedisServer(folder)
        try:
            yield server
        finally:
            server.close()


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
