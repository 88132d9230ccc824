"""A worker with a right driver on a bad network."""

import asyncio
import uuid
from collections import defaultdict

import pytest
from worker_for_tests import until_settled, wait_until

from asynctasq import Config, Worker, current_context, dispatch_many, init, task
from asynctasq.core.producer.client import client
from asynctasq.drivers import State
from asynctasq.drivers.memory import MemoryDriver, MemorySettings
from asynctasq.testing.bad_days import BAD_DAYS, BadDay

pytestmark = pytest.mark.anyio

COUNT = 40
ATTEMPTS = 3
#: Seconds; the shortest there is.
LEASE = 1.0

runs: defaultdict[str, list[int]] = defaultdict(list)


@task(name="bad_days_for_tests:succeed", max_attempts=ATTEMPTS)
async def succeed(name: str) -> None:
    runs[name].append(current_context().attempt)
    await asyncio.sleep(0.01)


@task(name="bad_days_for_tests:last", max_attempts=ATTEMPTS)
async def last(seconds: float) -> None:
    runs["last"].append(current_context().attempt)
    await asyncio.sleep(seconds)


@task(
    name="bad_days_for_tests:fail",
    max_attempts=ATTEMPTS,
    retry_delay=0,
    retry_strategy="fixed",
)
async def fail(name: str) -> None:
    runs[name].append(current_context().attempt)
    raise ValueError(name)


@pytest.fixture
def settings() -> MemorySettings:
    runs.clear()
    return MemorySettings(memory_url=f"memory://{uuid.uuid4().hex}")


@pytest.fixture
def config(settings: MemorySettings) -> Config:
    """Dispatches to the same messages without a bad day."""
    return init(driver="memory", memory_url=settings.memory_url)


@pytest.mark.parametrize("day", BAD_DAYS, ids=lambda day: day.__name__)
async def test_every_task_runs_and_every_attempt_is_counted(
    day: type[BadDay], settings: MemorySettings, config: Config
) -> None:
    worker = Worker(day(settings), lease=LEASE, heartbeat_interval=0.1, config=config)
    running = asyncio.create_task(worker.start())
    good = [f"good {n}" for n in range(COUNT)]
    bad = [f"bad {n}" for n in range(COUNT)]
    await dispatch_many([*(succeed(n) for n in good), *(fail(n) for n in bad)])
    await last(2 * LEASE).dispatch()
    await until_settled(lambda: MemoryDriver(settings))
    await wait_until(lambda: worker.status() is not None and not worker.status().broker_silence)  # type: ignore[union-attr]
    assert not running.done()
    await worker.stop()
    await running
    assert [name for name in [*good, "last"] if len(runs[name]) != 1] == []
    assert [name for name in bad if not ran_as_allowed(day, runs[name])] == []
    driver = MemoryDriver(settings)
    assert len(await driver.browse("default", State.DEAD, limit=1000)) == COUNT


def ran_as_allowed(day: type[BadDay], attempts: list[int]) -> bool:
    allowed = list(range(1, ATTEMPTS + 1))
    return sorted(set(attempts)) == attempts and (
        set(attempts) <= set(allowed) if day.burns_attempts else attempts == allowed
    )


async def test_a_dispatch_whose_answer_is_lost_says_so(
    settings: MemorySettings, config: Config
) -> None:
    class StoresAndFails(MemoryDriver):
        async def enqueue(self, messages: object) -> None:
            raise AttributeError("'NoneType' object has no attribute 'write'")

    client.configure(config, make_driver=lambda: StoresAndFails(settings))
    with pytest.raises(AttributeError):
        await succeed("x").dispatch()
