"""A running task whose message is revoked."""

import asyncio
import logging
import time
from pathlib import Path

import pytest
from worker_for_tests import NewDriver, look, wait_until

from asynctasq import TaskCall, Worker, dispatch_many, task
from asynctasq.drivers import Control, State

pytestmark = pytest.mark.anyio

#: Seconds; the shortest there is.
LEASE = 1.0
ended: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_ended() -> None:
    ended.clear()


@task(name="revoked_for_tests:wait")
async def wait() -> None:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        ended.append("cancelled")
        raise


@task(name="revoked_for_tests:block", process=True)
def block(path: str) -> None:
    Path(path).write_text("started")
    time.sleep(60)
    Path(path).write_text("ended")


async def revoke_running(new_driver: NewDriver, call: TaskCall[None], path: Path | None) -> None:
    """Run a call, take its message away, and wait until its slot is another's."""
    worker = Worker(new_driver(), concurrency=1, lease=LEASE, process_pool_size=1)
    running = asyncio.create_task(worker.start())
    (handle,) = await dispatch_many([call])
    driver = new_driver()
    await driver.connect()
    assert isinstance(driver, Control)
    if path is not None:
        await wait_until(path.exists)
    async with asyncio.timeout(30):
        while not await driver.revoke("default", [handle.id]):
            await asyncio.sleep(0.02)
    await dispatch_many([after()])
    await wait_until(lambda: "after" in ended)
    await driver.disconnect()
    await worker.stop()
    await running


@task(name="revoked_for_tests:after")
async def after() -> None:
    ended.append("after")


async def test_it_is_cancelled_and_nothing_is_left(
    new_driver: NewDriver, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "asynctasq.worker"):
        await revoke_running(new_driver, wait(), None)
    assert ended == ["cancelled", "after"]
    for state in State:
        assert await look(new_driver, state) == []
    assert "a command that cancelled it" in caplog.text


async def test_a_process_is_killed(new_driver: NewDriver, tmp_path: Path) -> None:
    path = tmp_path / "mark.txt"
    await revoke_running(new_driver, block(str(path)), path)
    assert path.read_text() == "started"
    for state in State:
        assert await look(new_driver, state) == []
