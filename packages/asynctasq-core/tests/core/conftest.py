"""Drivers for the engine's tests."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from asynctasq import BaseDriver, Config, DriverFactory, init


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
