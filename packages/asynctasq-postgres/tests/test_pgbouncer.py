"""The driver behind a real PgBouncer that exchanges connections between transactions.

These tests need the program ``pgbouncer``, and are skipped without it.
"""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import asyncpg
import pytest
from pydantic import SecretStr

from asynctasq.drivers import BaseDriver, Level, Message
from asynctasq.testing.brokers import may_use_servers
from asynctasq.testing.contract import (
    DiagnosticsContract,
    DriverContract,
    InspectorContract,
    NewDriver,
    WorkersContract,
)
from asynctasq.testing.ports import free_port
from asynctasq_postgres import PostgresDriver

MakeDriver = Callable[..., PostgresDriver]
#: Seconds after which a pooler that does not come up, or a state that does not come, is missing.
PATIENCE = 30.0

SETTINGS = """
[databases]
* = host={host} port={port} user={user} {password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 5
max_client_conn = 200
server_login_retry = 1
pidfile = {folder}/pid
logfile = {folder}/log
"""


@pytest.fixture(scope="module")
def pooled(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The DSN of a pooler in front of the server that is there."""
    program = shutil.which("pgbouncer")
    if program is None or not may_use_servers(request):
        pytest.skip("there is no pgbouncer to start")
    port = free_port()
    parts = urlsplit(postgres_url)
    user = parts.username or "postgres"
    password = f"password='{parts.password}'" if parts.password else ""
    folder = tmp_path_factory.mktemp("pgbouncer")
    settings = SETTINGS.format(
        host=parts.hostname, port=parts.port or 5432, user=user, password=password,
        own_port=port, folder=folder,
    )  # fmt: skip
    (folder / "pgbouncer.ini").write_text(settings)
    process = start(program, folder)
    url = f"postgresql://{user}@127.0.0.1:{port}{parts.path}"
    try:
        asyncio.run(answers(url))
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE)


def start(program: str, folder: Path) -> "subprocess.Popen[bytes]":
    become: tuple[str, ...] = ()
    if os.geteuid() == 0:  # PgBouncer does not run as root
        shutil.chown(folder, "postgres")
        shutil.chown(folder / "pgbouncer.ini", "postgres")
        for one in (folder, *folder.parents[:-2]):
            one.chmod(one.stat().st_mode | 0o011)
        become = ("-u", "postgres")
    return subprocess.Popen(
        [program, "-q", *become, str(folder / "pgbouncer.ini")],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


async def answers(url: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection = await asyncpg.connect(url, timeout=3, statement_cache_size=0)
        except (OSError, asyncpg.PostgresError):
            assert time.monotonic() < deadline, "the pooler does not start"
            await asyncio.sleep(0.05)
        else:
            await connection.close()
            return


@pytest.fixture
def behind(pooled: str, driver_with: MakeDriver) -> MakeDriver:
    """A function that makes a driver behind the pooler, with the settings that this takes."""
    common = {
        "postgres_dsn": SecretStr(pooled),
        "postgres_statement_cache_size": 0,
        "postgres_notify": False,
        "postgres_poll_interval": 0.1,
    }
    return lambda **more: driver_with(**common | more)


class TestPgBouncer(DriverContract, InspectorContract, WorkersContract, DiagnosticsContract):
    """All of it, without notifications and prepared statements."""

    patience: ClassVar[float] = (
        30.0  # dozens of waiters that look by themselves share five connections
    )

    @pytest.fixture
    def new_driver(self, behind: MakeDriver) -> NewDriver:
        return behind


@pytest.mark.anyio
async def test_many_calls_at_once_do_not_mix_up_their_statements(
    behind: MakeDriver, queue: str
) -> None:
    drivers: list[BaseDriver] = [behind() for _ in range(4)]
    await asyncio.gather(*(driver.connect() for driver in drivers))
    ids = [f"{number}" for number in range(400)]
    await asyncio.gather(
        *(drivers[int(one) % 4].enqueue([Message(one, queue, one.encode())]) for one in ids)
    )
    claims = await asyncio.gather(
        *(drivers[n % 4].dequeue([queue], limit=10, lease=30, wait=5) for n in range(40))
    )
    taken = [item for claim in claims for item in claim]
    assert sorted(item.id for item in taken) == sorted(ids)
    assert all(item.id.encode() == item.body for item in taken)
    await asyncio.gather(*(driver.disconnect() for driver in drivers))


@pytest.mark.anyio
async def test_a_worker_that_listens_in_vain_warns_and_looks_by_itself(
    behind: MakeDriver, driver, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker = behind(postgres_notify=True)
    await worker.connect()
    waiting = asyncio.ensure_future(worker.dequeue([queue], limit=1, lease=30, wait=PATIENCE))
    async with asyncio.timeout(PATIENCE):
        while "notifications of PostgreSQL do not arrive" not in caplog.text:
            await asyncio.sleep(0.05)
    assert not worker.session.listener.listening
    started = time.monotonic()
    await driver.enqueue([Message("1", queue, b"")])
    assert [one.id for one in await waiting] == ["1"]
    assert time.monotonic() - started < 3
    await worker.disconnect()


@pytest.mark.anyio
async def test_the_doctor_says_which_settings_it_takes(behind: MakeDriver) -> None:
    wrong = behind(postgres_notify=True, postgres_statement_cache_size=100)
    found = {one.name: one for one in await wrong.diagnose()}
    assert found["pooler"].level is Level.WARNING
    assert "postgres_statement_cache_size" in found["pooler"].advice
    assert found["notifications"].level is Level.WARNING
    assert "postgres_notify" in found["notifications"].advice
    right = {one.name: one for one in await behind().diagnose()}
    assert right["pooler"].level is right["notifications"].level is Level.OK


@pytest.mark.anyio
async def test_tables_are_made_through_it(behind: MakeDriver, table: str) -> None:
    driver = behind(
        postgres_queue_table=f"{table}_pooled", postgres_dead_letter_table=f"{table}_pooled_dead"
    )
    assert len(await driver.migrate()) > 0
    assert list(await driver.migrate()) == []
