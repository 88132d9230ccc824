"""A worker on an embedded queue."""

import uuid

import pytest

from asynctasq import Config, init


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def config() -> Config:
    """A queue of the test's own, which is also what dispatch uses."""
    return init(driver="memory", memory_url=f"memory://{uuid.uuid4().hex}")
