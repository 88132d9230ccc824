"""Drivers for the engine's tests, and the rule that a worker leaves nothing behind."""

import multiprocessing
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from asynctasq import Config, DriverFactory, init
from asynctasq.core.producer.client import client
from asynctasq.drivers import BaseDriver

# under names that child processes can import, too
sys.path.insert(0, str(Path(__file__).parent))

import tasks_for_tests


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["memory", "sqlite"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    """A queue of the test's own, which is also what dispatch uses."""
    if request.param == "sqlite":
        return init(driver="sqlite", sqlite_path=str(tmp_path / "queue.db"))
    return init(driver="memory", memory_url=f"memory://{uuid.uuid4().hex}")


@pytest.fixture
def new_driver(config: Config) -> Callable[[], BaseDriver]:
    return lambda: DriverFactory.create_from_config(config)


@pytest.fixture(autouse=True)
def ran() -> Iterator[list[object]]:
    """What the tasks wrote down; afterwards, no thread and no process is left."""
    tasks_for_tests.ran.clear()
    before = set(threading.enumerate())
    yield tasks_for_tests.ran
    client.end_thread()
    _until(lambda: not [t for t in set(threading.enumerate()) - before if _is_ours(t)])
    _until(lambda: not multiprocessing.active_children())


def _is_ours(thread: threading.Thread) -> bool:
    return thread.name.startswith("asynctasq")


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
