"""What a worker does while its broker is away, and when it loses a lease."""

import asyncio
import threading
import uuid
from typing import Any

import pytest
import tasks_for_tests as tasks
from worker_for_tests import NewDriver, Wrapped, look, wait_until

from asynctasq import (
    Worker,
    dispatch_many,
)
from asynctasq.drivers import State

pytestmark = pytest.mark.anyio


async def test_leases_are_kept_while_the_loop_is_blocked(
    new_driver: NewDriver, ran: list[object]
) -> None:
    await dispatch_many([tasks.block_loop(3.0)])
    other = threading.Thread(target=lambda: asyncio.run(_watch(new_driver)))
    other.start()
    await Worker(new_driver(), lease=1, max_tasks=1, worker_id="first").start()
    await asyncio.to_thread(other.join)
    assert ran == ["first"]
    assert await look(new_driver, State.READY) == []


async def _watch(new_driver: NewDriver) -> None:
    """A second worker, which comes when the first has the task and leaves after three leases."""
    await wait_until(lambda: bool(tasks.ran))
    worker = Worker(new_driver(), lease=1, worker_id="second")
    running = asyncio.create_task(worker.start())
    await asyncio.wait([running], timeout=3.5)
    await worker.stop()
    await running


async def test_outcomes_wait_for_a_broker_that_is_away(
    new_driver: NewDriver, ran: list[object]
) -> None:
    await dispatch_many([tasks.note(n) for n in range(5)])
    driver: Any = Wrapped(new_driver())
    driver.failures |= {"dequeue": 2, "settle": 2}
    await Worker(driver, max_tasks=5).start()
    assert sorted(ran) == [0, 1, 2, 3, 4]  # type: ignore[type-var]
    assert driver.failures == {"dequeue": 0, "settle": 0, "extend": 0}
    assert await look(new_driver, State.RUNNING) == []


async def test_a_lost_lease_cancels_the_task_and_discards_its_outcome(
    new_driver: NewDriver, ran: list[object]
) -> None:
    name = uuid.uuid4().hex
    gate = tasks.gates[name] = tasks.Gate()
    await dispatch_many([tasks.pass_gate(name)])
    driver: Any = Wrapped(new_driver())
    driver.loses_leases = True
    worker = Worker(driver, lease=1)
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: gate.most == 1)
    await wait_until(lambda: gate.inside == 0)
    await worker.stop()
    await running
    assert (ran, driver.settled) == ([], [])
