"""Fixtures: a shared server, and private servers for tests that stop them."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pymysql
import pytest
from pydantic import SecretStr

from asynctasq.testing.brokers import find_program, shared_url
from asynctasq.testing.ports import free_port
from asynctasq.testing.waiting import until
from asynctasq_mysql import MySQLDriver, MySQLSettings
from asynctasq_mysql.literals import name

#: Seconds within which a server must start, or a state must be reached.
PATIENCE = 60.0


@pytest.fixture
def anyio_backend() -> str:
    """Run the tests on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def mysql_url(request: pytest.FixtureRequest) -> str:
    """The DSN of a running server."""
    return shared_url(request, "mysql", 3306, "mysql://root@localhost:3306/test")


@pytest.fixture(scope="session")
def settings(mysql_url: str) -> Iterator[MySQLSettings]:
    """Tables unique to this session, dropped at the end."""
    name = f"test_{uuid4().hex[:12]}"
    settings = MySQLSettings(
        mysql_dsn=SecretStr(mysql_url),
        mysql_queue_table=name,
        mysql_dead_letter_table=f"{name}_dead",
    )
    asyncio.run(MySQLDriver(settings).migrate())
    yield settings
    drop(settings)


@pytest.fixture
def fresh_tables(mysql_url: str) -> Iterator[MySQLSettings]:
    """Names of tables that do not exist yet; created tables are dropped at the end."""
    name = f"test_{uuid4().hex[:12]}"
    settings = MySQLSettings(
        mysql_dsn=SecretStr(mysql_url),
        mysql_queue_table=name,
        mysql_dead_letter_table=f"{name}_dead",
    )
    yield settings
    drop(settings)


@pytest.fixture
def query(mysql_url: str) -> Iterator[Callable[[str], list[Any]]]:
    """Return a function that runs a statement on the running server."""
    with client(mysql_url, autocommit=True) as connection:
        yield lambda sql: rows(connection, sql)


@pytest.fixture(scope="session")
def private_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["Server"]:
    """A private server of this session."""
    need_mariadb(request)
    one = Server(tmp_path_factory.mktemp("mariadb"))
    try:
        yield one
    finally:
        one.stop()


@pytest.fixture
def server(private_server: "Server") -> "Server":
    """A running private server; a test that stops it need not start it again."""
    private_server.start()
    return private_server


@pytest.fixture(scope="module")
def start_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["StartServer"]:
    """Return a function that starts another private server with given options."""
    need_mariadb(request)
    with ExitStack() as stack:

        def start(*options: str) -> Server:
            one = Server(tmp_path_factory.mktemp("mariadb"), *options)
            stack.callback(one.stop)
            one.start()
            return one

        yield start


@pytest.fixture
async def on_server(server: "Server") -> AsyncIterator["ConnectDriver"]:
    """Return a function that connects another driver on the private server, on the same tables."""
    name = f"test_{uuid4().hex[:12]}"
    settings = MySQLSettings(
        mysql_dsn=SecretStr(server.url),
        mysql_queue_table=name,
        mysql_dead_letter_table=f"{name}_dead",
    )
    await MySQLDriver(settings).migrate()
    async with AsyncExitStack() as stack:

        async def connect() -> MySQLDriver:
            driver = MySQLDriver(settings)
            stack.push_async_callback(driver.disconnect)
            await driver.connect()
            return driver

        yield connect


@pytest.fixture
async def driver(settings: MySQLSettings) -> AsyncIterator[MySQLDriver]:
    """A connected driver on the tables of this session."""
    one = MySQLDriver(settings)
    await one.connect()
    yield one
    await one.disconnect()


@pytest.fixture
def refuse(settings: MySQLSettings, query: Callable[[str], list[Any]]) -> Iterator["Refuse"]:
    """Return a function that makes the server fail each change of a queue's messages."""
    triggers: list[str] = []

    def refuse(queue: str, code: int = 1644, state: str = "45000") -> None:
        triggers.append(f"test_{uuid4().hex[:12]}")
        query(
            f"CREATE TRIGGER {triggers[-1]} BEFORE UPDATE ON {settings.tables().queue} FOR EACH ROW"
            f" BEGIN IF NEW.queue = {name(queue)} THEN SIGNAL SQLSTATE '{state}'"
            f" SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = 'refused'; END IF; END"
        )

    yield refuse
    for one in triggers:
        query(f"DROP TRIGGER {one}")


def client(url: str, **more: Any) -> Any:
    """Return a PyMySQL connection to the server of a DSN."""
    parts = urlsplit(url)
    return closing(
        pymysql.connect(
            host=parts.hostname or "localhost",
            port=parts.port or 3306,
            user=parts.username or "root",
            password=parts.password or "",
            database=parts.path.strip("/"),
            **more,
        )
    )


def drop(settings: MySQLSettings) -> None:
    """Drop all tables of `settings`."""
    with client(settings.mysql_dsn.get_secret_value()) as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_notes = 0")
        cursor.execute(f"DROP TABLE IF EXISTS {', '.join(settings.tables().all())}")


def rows(connection: Any, sql: str) -> list[Any]:
    """Run a statement and return its rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


class Server:
    """A MariaDB that can be stopped and started again on the same port and data."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.url = f"mysql://root@127.0.0.1:{self.port}/test"
        self.options = options
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        binary = shutil.which("mariadbd")
        install = shutil.which("mariadb-install-db")
        assert binary is not None
        assert install is not None
        self._binary = binary
        folder.mkdir(exist_ok=True)
        subprocess.run(
            [
                *(install, "--no-defaults", f"--datadir={folder}/data"),
                # a starting server removes files of others in the same directory
                *(f"--tmpdir={folder}", "--auth-root-authentication-method=normal"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def start(self) -> None:
        if self._process is not None:
            return
        self._process = subprocess.Popen(
            [
                *(self._binary, "--no-defaults", f"--datadir={self._folder}/data"),
                f"--tmpdir={self._folder}",
                *(f"--port={self.port}", "--bind-address=127.0.0.1"),
                *(f"--socket={self._folder}/s", f"--pid-file={self._folder}/pid"),
                *(["--user=root"] if os.geteuid() == 0 else []),
                *self.options,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self._answers)
        # by default every user has all rights on a database called test
        self.ask("DELETE FROM mysql.global_priv WHERE user = ''")
        self.ask("DELETE FROM mysql.db")
        self.ask("FLUSH PRIVILEGES")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None

    def ask(self, sql: str) -> list[Any]:
        with client(self.url, autocommit=True) as connection:
            return rows(connection, sql)

    def _answers(self) -> bool:
        with suppress(pymysql.Error), client(self.url):
            return True
        return False


@pytest.fixture
def driver_on() -> "MakeDriver":
    """Return a function that makes a driver for a DSN."""
    return lambda url, **more: MySQLDriver(MySQLSettings(mysql_dsn=SecretStr(url), **more))


Refuse = Callable[..., None]
StartServer = Callable[..., Server]
MakeDriver = Callable[..., MySQLDriver]
ConnectDriver = Callable[[], Awaitable[MySQLDriver]]


def need_mariadb(request: pytest.FixtureRequest) -> None:
    """Skip the test if no server can be started."""
    find_program(request, "mariadbd")
    find_program(request, "mariadb-install-db")
