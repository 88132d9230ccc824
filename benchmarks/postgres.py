"""A PostgreSQL that runs already: a database of a measurement's own on it, dropped in the end."""

import asyncio
import os
import secrets
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from asynctasq.settings import mask_url
from benchmarks.processes import Listener

VARIABLE = "ASYNCTASQ_TEST_POSTGRES_URL"
DEFAULT = "postgresql://postgres@localhost:5432/postgres"


class PostgresServer:
    """The server at ``ASYNCTASQ_TEST_POSTGRES_URL``."""

    def __init__(self) -> None:
        self._server = os.environ.get(VARIABLE, DEFAULT)
        self.name = f"benchmark_{secrets.token_hex(4)}"
        parts = urlsplit(self._server)
        self.url = urlunsplit(parts._replace(path=f"/{self.name}"))
        self._listener = Listener(parts.port or 5432)
        try:
            self._execute(f"CREATE DATABASE {self.name}")
        except (OSError, asyncpg.PostgresError) as error:
            raise SystemExit(
                f"no PostgreSQL at {mask_url(self._server)}: {error}; set {VARIABLE}"
            ) from None

    def cpu(self) -> float | None:
        """Processor seconds of all its processes, whoever caused them; None if not seen."""
        return self._listener.cpu_of_family()

    def count_commands(self, seconds: float, worker: int) -> int | None:
        """Packets with data that `worker` sends: a statement with its parameters is one."""
        return self._listener.count_packets(seconds, worker)

    def close(self) -> None:
        """Drop the database, whoever is connected; the server writes a checkpoint."""
        self._execute(f"DROP DATABASE {self.name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        async def execute() -> None:
            connection = await asyncpg.connect(self._server, timeout=10)
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(execute())
