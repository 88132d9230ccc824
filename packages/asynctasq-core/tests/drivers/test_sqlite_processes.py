"""Several processes on one SQLite file, and processes that die."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from asynctasq.drivers import Message
from asynctasq.drivers.sqlite import SQLiteDriver, SQLiteSettings
from asynctasq.drivers.sqlite import driver as driver_module

pytestmark = pytest.mark.anyio

PRELUDE = """
import asyncio, os, sys, time
from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq.drivers.sqlite import SQLiteDriver, SQLiteSettings

def say(*words):
    print(*words, flush=True)

driver = SQLiteDriver(SQLiteSettings(sqlite_path=sys.argv[1]))
"""

PRODUCE = """
async def main():
    await driver.connect()
    for number in range(1_000_000):
        await driver.enqueue([Message(f"{number}-{part}", "queue", b"") for part in range(3)])
        say(number)
asyncio.run(main())
"""

ENQUEUE_ONE = """
async def main():
    await driver.connect()
    await driver.enqueue([Message(str(os.getpid()), "queue", b"")])
    await driver.disconnect()
asyncio.run(main())
"""

DRAIN = """
async def main():
    await driver.connect()
    say("ready")
    while taken := await driver.dequeue(["queue"], limit=7, lease=60, wait=1):
        assert not await driver.settle([Settlement(one, Outcome.DONE) for one in taken])
        for one in taken:
            say(one.id)
    await driver.disconnect()
asyncio.run(main())
"""

HOLD = """
async def main():
    await driver.connect()
    for one in await driver.dequeue(["queue"], limit=3, lease=1, wait=5):
        say(one.id)
    await asyncio.sleep(60)
asyncio.run(main())
"""

FORK = """
from asynctasq.errors import BrokerUnavailable

async def in_child():
    try:
        await driver.enqueue([Message("refused", "queue", b"")])
    except BrokerUnavailable as error:
        say(error)
    await driver.connect()
    await driver.enqueue([Message("child", "queue", b"")])
    await driver.disconnect()

loop = asyncio.new_event_loop()
loop.run_until_complete(driver.connect())
if (child := os.fork()) == 0:
    asyncio.new_event_loop().run_until_complete(in_child())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
loop.run_until_complete(driver.enqueue([Message("parent", "queue", b"")]))
loop.run_until_complete(driver.disconnect())
loop.close()
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
async def driver(path: Path) -> AsyncIterator[SQLiteDriver]:
    driver = SQLiteDriver(SQLiteSettings(sqlite_path=str(path)))
    await driver.connect()
    yield driver
    await driver.disconnect()


def start(script: str, path: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PRELUDE + script, str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def lines(process: "subprocess.Popen[str]", count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(count)]


def rest(process: "subprocess.Popen[str]") -> list[str]:
    return process.communicate(timeout=60)[0].split()


def kill(process: "subprocess.Popen[str]") -> list[str]:
    """Kill without warning; return what it had said meanwhile."""
    process.kill()
    said = rest(process)
    assert process.returncode == -signal.SIGKILL
    return said


async def test_processes_take_each_message_once(driver: SQLiteDriver, path: Path) -> None:
    stored = [str(number) for number in range(900)]
    await driver.enqueue([Message(id_, "queue", b"") for id_ in stored])
    workers = [start(DRAIN, path) for _ in range(3)]
    taken = [await asyncio.to_thread(rest, worker) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert Counter(word for said in taken for word in said if word != "ready") == Counter(stored)


async def test_processes_may_create_the_file_at_the_same_time(path: Path) -> None:
    producers = [start(ENQUEUE_ONE, path) for _ in range(3)]
    for producer in producers:
        await asyncio.to_thread(rest, producer)
    assert [producer.returncode for producer in producers] == [0, 0, 0]
    driver = SQLiteDriver(SQLiteSettings(sqlite_path=str(path)))
    await driver.connect()
    taken = await driver.dequeue(["queue"], limit=10, lease=9, wait=0)
    await driver.disconnect()
    assert {one.id for one in taken} == {str(producer.pid) for producer in producers}


async def test_another_process_wakes_a_waiting_dequeue(
    driver: SQLiteDriver, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "POLL_EVERY", 3600.0)
    waiting = asyncio.ensure_future(driver.dequeue(["queue"], limit=1, lease=9, wait=3600))
    producer = start(ENQUEUE_ONE, path)
    async with asyncio.timeout(30):
        (taken,) = await waiting
    await asyncio.to_thread(rest, producer)
    assert taken.id == str(producer.pid)


async def test_what_was_acknowledged_survives_a_killed_producer(path: Path) -> None:
    producer = start(PRODUCE, path)
    acknowledged = await asyncio.to_thread(lines, producer, 20)
    acknowledged += await asyncio.to_thread(kill, producer)
    driver = SQLiteDriver(SQLiteSettings(sqlite_path=str(path)))
    await driver.connect()
    stored: set[str] = set()
    while taken := await driver.dequeue(["queue"], limit=1000, lease=60, wait=0):
        stored |= {one.id for one in taken}
    await driver.disconnect()
    assert {f"{number}-{part}" for number in acknowledged for part in range(3)} <= stored
    assert len(stored) % 3 == 0  # a batch is there as a whole or not at all


async def test_what_a_killed_worker_held_goes_to_others_when_the_lease_ends(
    driver: SQLiteDriver, path: Path
) -> None:
    await driver.enqueue([Message(id_, "queue", b"") for id_ in ("a", "b", "c")])
    worker = start(HOLD, path)
    held = await asyncio.to_thread(lines, worker, 3)
    await asyncio.to_thread(kill, worker)
    taken: list[tuple[str, int]] = []
    async with asyncio.timeout(30):
        while len(taken) < 3:
            batch = await driver.dequeue(["queue"], limit=3, lease=60, wait=30)
            taken += [(one.id, one.attempt) for one in batch]
    assert taken == [(id_, 2) for id_ in held]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
async def test_a_fork_does_not_share_the_connection(driver: SQLiteDriver, path: Path) -> None:
    forking = start(FORK, path)
    said = await asyncio.to_thread(rest, forking)
    assert forking.returncode == 0
    assert " ".join(said).endswith("was opened before a fork; call connect() again")
    taken = await driver.dequeue(["queue"], limit=10, lease=9, wait=0)
    assert [one.id for one in taken] == ["child", "parent"]
