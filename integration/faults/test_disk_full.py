"""Brokers that store nothing more for a while: they are full, or may not write."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from asynctasq.drivers import Message
from asynctasq.errors import BrokerUnavailable
from asynctasq.testing.waiting import until
from integration.application import Application
from integration.faults.load import Load, Report, enqueue
from integration.faults.servers import Server

#: A body that fills the room.
LARGE = b"\xc0" * 100_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with eight megabytes; there is none to be had without the rights for it."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_the_disk_of_sqlite_is_full(small_disk: Path, tmp_path: Path, report: Report) -> None:
    path = small_disk / "queue.db"
    application = Application(tmp_path, {"driver": "sqlite", "sqlite_path": str(path)})
    ballast = small_disk / "ballast"
    try:
        _survives(
            application,
            report,
            fault="the disk is full",
            fill=lambda: _fill(ballast),
            empty=ballast.unlink,
            says="the disk is full; make room",
        )
    finally:
        application.close()


@pytest.mark.parametrize("application", ["redis"], indirect=True)
def test_the_memory_of_redis_is_full(
    application: Application, server: Server, report: Report
) -> None:
    _survives(
        application,
        report,
        fault="the broker's memory is full",
        fill=lambda: _configure(server, "1"),
        empty=lambda: _configure(server, "0"),
        says="is full; raise its maxmemory",
    )


@pytest.mark.parametrize("application", ["postgres"], indirect=True)
def test_postgres_is_read_only(application: Application, server: Server, report: Report) -> None:
    _survives(
        application,
        report,
        fault="the broker is read-only",
        fill=lambda: asyncio.run(_let_write(server, "off")),
        empty=lambda: asyncio.run(_let_write(server, "on")),
        says="is read-only",
    )


def _survives(
    application: Application,
    report: Report,
    *,
    fault: str,
    fill: Callable[[], object],
    empty: Callable[[], object],
    says: str,
) -> None:
    """Producers get an error of one line; a worker resumes when there is space again."""
    work = Load(application, 200, 0.02)
    work.start_worker("--concurrency", "10", "--lease", "3")
    work.await_ended(0.2)
    fill()
    with pytest.raises(BrokerUnavailable, match=says) as told:
        _enqueue_without_end(application)
    assert "\n" not in str(told.value)
    until(lambda: says in application.output() or not work.unfinished, "the worker noticed")
    empty()
    work.add(20)
    work.recovers()
    row = work.finish(fault)
    report(row)
    assert row.twice == 0
    assert application.stats("other").ready == len(application.drain("other"))


def _enqueue_without_end(application: Application) -> None:
    for number in range(1000):
        enqueue(application, [Message(f"large-{number}", "other", LARGE)])


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError:
            return


def _configure(server: Server, limit: str) -> None:
    import redis

    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", limit)


async def _let_write(server: Server, word: str) -> None:
    """Let transactions write or not, also those of sessions that are open."""
    import asyncpg

    connection = await asyncpg.connect(server.url)
    try:
        read_only = "off" if word == "on" else "on"
        await connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {read_only}")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()
