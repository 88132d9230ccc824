"""Where the tests find PostgreSQL: one that is there already, and private ones that they stop."""

import asyncio
import os
import shutil
import signal
import subprocess
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from pydantic import SecretStr

from asynctasq.testing.brokers import find_program, shared_url
from asynctasq.testing.ports import free_port
from asynctasq_postgres import PostgresDriver, PostgresSettings

#: Makes a driver on the shared server, with these settings.
MakeDriver = Callable[..., PostgresDriver]
#: Seconds after which a server that does not come up, or a state that does not come, is missing.
PATIENCE = 30.0


@pytest.fixture
def anyio_backend() -> str:
    """Drivers are asyncio's."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> str:
    """A server that is there already."""
    url = "postgresql://postgres@localhost:5432/test"
    return shared_url(request, "postgres", 5432, url)


@pytest.fixture(scope="session")
def table(postgres_url: str) -> Iterator[str]:
    """The name of this session's queue table; all that begins with it is dropped at the end."""
    name = f"test_{uuid4().hex[:12]}"
    yield name
    asyncio.run(drop(postgres_url, name))


@pytest.fixture(scope="session")
def settings(postgres_url: str, table: str) -> PostgresSettings:
    """What the drivers of all tests share; their tables are there."""
    made = settings_for(postgres_url, table)
    asyncio.run(PostgresDriver(made).migrate())
    return made


@pytest.fixture
def driver_with(settings: PostgresSettings) -> MakeDriver:
    """A function that makes an unconnected driver with settings that differ from the common."""
    return lambda **more: PostgresDriver(PostgresSettings(**(settings.model_dump() | more)))


@pytest.fixture
async def driver(settings: PostgresSettings) -> AsyncIterator[PostgresDriver]:
    """A connected driver."""
    one = PostgresDriver(settings)
    await one.connect()
    yield one
    await one.disconnect()


@pytest.fixture
def queue() -> str:
    """The name of a queue nobody uses."""
    return f"queue-{uuid4().hex}"


@pytest.fixture
def connect(postgres_url: str) -> Callable[..., Any]:
    """A function that makes a connection of asyncpg's to the shared server."""
    return lambda **more: asyncpg.connect(postgres_url, **more)


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["Server"]:
    """A private server that is running."""
    find_program(request, program("postgres"))
    one = Server(tmp_path_factory.mktemp("server"))
    one.start()
    yield one
    one.stop()


class Server:
    """One cluster on a free port, which can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        if os.geteuid() == 0:  # PostgreSQL does not run as root, nor in what is root's alone
            folder = Path(mkdtemp(prefix="asynctasq-"))
            folder.chmod(0o711)
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._data = folder / "data"
        self._data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(self._data, "postgres")
        options = ("-D", str(self._data), "-A", "trust", "-U", "postgres", "--no-sync")
        self._run("initdb", *options).wait(PATIENCE)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Start it, with settings such as ``max_connections=20``, and wait until it answers."""
        common = (f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories=")
        settings = [part for one in (*common, *options) for part in ("-c", one)]
        self._process = self._run("postgres", "-D", str(self._data), *settings)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it at once; nothing that was committed is lost."""
        if self._process is not None:
            server = int((self._data / "postmaster.pid").read_text().partition("\n")[0])
            os.kill(server, signal.SIGINT)  # its parent may be another one, which became its user
            self._process.wait(PATIENCE)
            self._process = None

    def set_hba(self, *lines: str) -> None:
        """Say who may connect how, from the next start on."""
        (self._data / "pg_hba.conf").write_text("\n".join(lines) + "\n")

    def ask(self, statement: str, url: str | None = None) -> Sequence[Any]:
        """The rows of a statement."""

        async def ask() -> Sequence[Any]:
            connection = await asyncpg.connect(url or self.url)
            try:
                return await connection.fetch(statement)
            finally:
                await connection.close()

        return asyncio.run(ask())

    def _run(self, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        become = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
        return subprocess.Popen(
            [*become, program(name), *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    def _answers(self) -> bool:
        try:
            asyncio.run(_answers(self.url))
        except (OSError, asyncpg.PostgresError):
            return False
        return True


def settings_for(url: str, table: str, **more: Any) -> PostgresSettings:
    """Settings for tables on a server."""
    return PostgresSettings(
        postgres_dsn=SecretStr(url),
        postgres_queue_table=table,
        postgres_dead_letter_table=f"{table}_dead",
        **more,
    )


async def drop(url: str, prefix: str) -> None:
    """Drop the tables and functions whose names start with `prefix`."""
    connection = await asyncpg.connect(url)
    try:
        drops = await connection.fetch(
            """
            SELECT 'DROP TABLE ' || oid::regclass FROM pg_class
            WHERE starts_with(relname, $1) AND relkind = 'r'
            UNION ALL
            SELECT 'DROP FUNCTION ' || oid::regprocedure FROM pg_proc WHERE starts_with(proname, $1)
            """,
            prefix,
        )
        for (statement,) in drops:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _answers(url: str) -> None:
    connection = await asyncpg.connect(url, timeout=3)
    await connection.close()


def program(name: str) -> str:
    """A program of the newest PostgreSQL here; its name alone where there is none."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(installed[-1]) if installed else name
