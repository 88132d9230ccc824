"""A Redis of a test's own, which it can start and stop."""

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from redis import Redis
from redis.exceptions import AuthenticationError, RedisError

from asynctasq.testing.ports import free_port
from asynctasq.testing.waiting import until


class RedisServer:
    """One process on a free port.

    Args:
        folder: its data.
        options: more of ``redis-server``'s.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._command = ("redis-server", "--port", str(self.port), "--bind", "127.0.0.1")
        self._options = ("--dir", str(folder), "--save", "", *options)
        self.settings = {"driver": "redis", "redis_url": self.url}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, again perhaps, and wait until it answers: it may have to load first."""
        self._process = subprocess.Popen(
            [*self._command, *self._options], stdout=subprocess.DEVNULL
        )
        until(self._answers, "the server answers")

    def _answers(self) -> bool:
        try:
            with Redis.from_url(self.url) as client:
                return bool(client.ping())
        except AuthenticationError:
            return True  # it is up, and asks for the password of its options
        except RedisError:
            return False

    def kill(self) -> None:
        """Kill it with -9, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def listens(port: int) -> bool:
    """Whether a server takes connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


#: Makes a server with these options, which is not started yet.
MakeRedis = Callable[..., RedisServer]
