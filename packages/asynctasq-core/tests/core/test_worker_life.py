"""How a worker starts and ends."""

import asyncio
import uuid
from typing import Any

import pytest
import tasks_for_tests as tasks
from worker_for_tests import NewDriver, look, wait_until

from asynctasq import (
    ConfigError,
    TaskError,
    Worker,
    dispatch_many,
)
from asynctasq.drivers import State

pytestmark = pytest.mark.anyio


async def test_stop_lets_the_running_finish(new_driver: NewDriver, ran: list[object]) -> None:
    name = uuid.uuid4().hex
    gate = tasks.gates[name] = tasks.Gate()
    await dispatch_many([tasks.pass_gate(name) for _ in range(5)])
    worker = Worker(new_driver(), concurrency=2)
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: gate.inside == 2)
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(stopping, running)
    assert ran == [name, name]
    assert [m.attempt for m in await look(new_driver, State.READY)] == [0, 0, 0]


@pytest.mark.parametrize("how", ["timeout", "cancel"])
async def test_what_does_not_finish_in_time_is_given_back_uncounted(
    new_driver: NewDriver, ran: list[object], how: str
) -> None:
    name = uuid.uuid4().hex
    gate = tasks.gates[name] = tasks.Gate()
    await dispatch_many([tasks.pass_gate(name)])
    worker = Worker(new_driver(), shutdown_timeout=0.1 if how == "timeout" else 60)
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: gate.inside == 1)
    if how == "timeout":
        await worker.stop()
    else:
        running.cancel()
    await asyncio.wait([running])
    assert running.cancelled() == (how == "cancel")
    assert ran == []
    assert [m.attempt for m in await look(new_driver, State.READY)] == [0]


async def test_a_worker_can_be_started_again(new_driver: NewDriver, ran: list[object]) -> None:
    worker = Worker(new_driver(), burst=True)
    for word in "ab":
        await dispatch_many([tasks.note(word)])
        await worker.start()
    assert ran == ["a", "b"]


async def test_a_running_worker_cannot_be_started(new_driver: NewDriver) -> None:
    worker = Worker(new_driver())
    running = asyncio.create_task(worker.start())
    await asyncio.sleep(0)
    with pytest.raises(TaskError):
        await worker.start()
    await worker.stop()
    await running


async def test_a_worker_is_registered_while_it_runs(new_driver: NewDriver) -> None:
    worker = Worker(new_driver(), worker_id="me", queues=["a", "b"])
    running = asyncio.create_task(worker.start())
    driver: Any = new_driver()
    await driver.connect()
    async with asyncio.timeout(20):
        while not (known := await driver.workers()):
            await asyncio.sleep(0.01)
    assert (known[0][0].id, known[0][0].queues) == ("me", ("a", "b"))
    await worker.stop()
    await running
    assert await driver.workers() == []
    await driver.disconnect()


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": 0},
        {"queues": []},
        {"queues": [""]},
        {"queues": "default"},
        {"max_tasks": 0},
        {"lease": 0.1},
        {"heartbeat_interval": 0},
        {"shutdown_timeout": -1},
        {"concurrency": "many"},
    ],
)
def test_bad_arguments_are_refused(new_driver: NewDriver, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Worker(new_driver(), **options)
