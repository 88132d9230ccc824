"""A worker's heartbeat, whatever its driver does."""

import asyncio
import time
from typing import Any

import pytest
from worker_for_tests import wait_until

from asynctasq import BrokerUnavailable, Worker
from asynctasq.core.worker.heartbeat import Heartbeat
from asynctasq.drivers import WorkerInfo
from asynctasq.drivers.memory import MemoryDriver, MemorySettings
from asynctasq.events import EventStream

pytestmark = pytest.mark.anyio


class Registry(MemoryDriver):
    """Raises errors, one after the other, and may never answer."""

    def __init__(self, *errors: Exception, silent: bool = False) -> None:
        super().__init__(MemorySettings(memory_url=f"memory://{time.monotonic_ns()}"))
        self.errors: list[Exception] = list(errors)
        self.silent = silent
        self.beats = 0

    async def heartbeat(self, info: WorkerInfo, *, ttl: float) -> None:
        self.beats += 1
        if self.beats > 1 and self.errors:  # the first is a part of the start
            raise self.errors.pop(0)
        if self.beats > 1 and self.silent:
            await asyncio.Event().wait()
        await super().heartbeat(info, ttl=ttl)

    async def forget(self, worker_id: str) -> None:
        if self.silent:
            await asyncio.Event().wait()
        if self.errors:
            raise self.errors.pop(0)
        await super().forget(worker_id)


def info() -> WorkerInfo:
    return WorkerInfo("me", "host", 1, ("default",), 1, 0, 0, 0.0)


def heartbeat(driver: Any) -> Heartbeat:
    return Heartbeat(driver, EventStream([]), interval=0.001, info=info)


async def test_an_unexpected_error_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    bugs = [AttributeError("a bug"), OSError("lost"), AttributeError("again"), OSError("again")]
    driver = Registry(*bugs, BrokerUnavailable("away"))
    await driver.connect()
    one = heartbeat(driver)
    await one.start()
    await wait_until(lambda: driver.beats > 10)
    await one.stop()
    assert await driver.workers() == []
    logged = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.exc_info[0] for record in logged if record.exc_info] == [AttributeError, OSError]


async def test_a_broker_that_is_silent_holds_up_no_end() -> None:
    driver = Registry(silent=True)
    one, tasks = heartbeat(driver), asyncio.all_tasks()
    await one.start()
    await wait_until(lambda: driver.beats > 1)
    before = time.monotonic()
    await one.stop()
    assert 0.9 < time.monotonic() - before < 5
    assert asyncio.all_tasks() == tasks


async def test_a_driver_that_cannot_sign_off_holds_up_no_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    driver = Registry()
    worker = Worker(driver, heartbeat_interval=60)
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: worker.status() is not None)
    driver.errors = [LookupError("a bug")]
    await worker.stop()
    await running
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [LookupError]
