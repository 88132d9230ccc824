"""A MySQL or MariaDB that runs already: a database of a measurement's own, dropped in the end."""

import os
import secrets
from contextlib import closing
from urllib.parse import unquote, urlsplit, urlunsplit

import pymysql

from asynctasq.settings import mask_url
from benchmarks.processes import Listener

VARIABLE = "ASYNCTASQ_TEST_MYSQL_URL"
DEFAULT = "mysql://root@localhost:3306/test"


class MySQLServer:
    """The server at ``ASYNCTASQ_TEST_MYSQL_URL``."""

    def __init__(self) -> None:
        self._server = os.environ.get(VARIABLE, DEFAULT)
        self.name = f"benchmark_{secrets.token_hex(4)}"
        self._parts = urlsplit(self._server)
        self.url = urlunsplit(self._parts._replace(path=f"/{self.name}"))
        self._listener = Listener(self._parts.port or 3306)
        try:
            self._execute(f"CREATE DATABASE {self.name}")
        except pymysql.MySQLError as error:
            raise SystemExit(
                f"no MySQL at {mask_url(self._server)}: {error}; set {VARIABLE}"
            ) from None

    def cpu(self) -> float | None:
        """Processor seconds of the server's process, whoever caused them; None if not seen."""
        return self._listener.cpu()

    def count_commands(self, seconds: float, worker: int) -> int | None:
        """Packets with data that `worker` sends: statements that go together are one."""
        return self._listener.count_packets(seconds, worker)

    def close(self) -> None:
        """Drop the database."""
        self._execute(f"DROP DATABASE {self.name}")

    def _execute(self, statement: str) -> None:
        connection = pymysql.connect(
            host=self._parts.hostname or "localhost",
            port=self._parts.port or 3306,
            user=unquote(self._parts.username or "root"),
            password=unquote(self._parts.password or ""),
        )
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(statement)
