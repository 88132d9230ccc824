"""Attempts are isolated from each other and from their worker."""

import asyncio
import uuid
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import pytest
import tasks_for_tests as tasks
from worker_for_tests import NewDriver, Wrapped, look, wait_until, work

from asynctasq import Worker, current_context, dispatch_many, task
from asynctasq.core.worker.broker_health import BrokerHealth
from asynctasq.core.worker.engine import Engine
from asynctasq.core.worker.shutdown import Shutdown
from asynctasq.drivers import BaseDriver, Delivery, Settlement, State
from asynctasq.errors import BrokerUnavailable

pytestmark = pytest.mark.anyio

tenant: ContextVar[int | None] = ContextVar("tenant", default=None)
seen: list[object] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


@task(name="isolation_for_tests:set_tenant")
async def set_tenant(number: int, pause: float) -> None:
    seen.append(tenant.get())
    tenant.set(number)
    await asyncio.sleep(pause)


@task(name="isolation_for_tests:set_tenant_in_thread")
def set_tenant_in_thread(number: int) -> None:
    seen.append(tenant.get())
    tenant.set(number)


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param([set_tenant(n, 0) for n in range(300)], id="at once"),
        pytest.param([set_tenant(n, 0.001) for n in range(100)], id="waiting"),
        pytest.param([set_tenant_in_thread(n) for n in range(100)], id="threads"),
    ],
)
async def test_no_attempt_sees_the_context_variables_of_another(
    new_driver: NewDriver, calls: list[Any]
) -> None:
    await work(new_driver, *calls)
    assert seen == [None] * len(calls)
    assert tenant.get() is None


@task(name="isolation_for_tests:cancel_itself", max_attempts=2, retry_delay=0)
async def cancel_itself() -> None:
    seen.append(current_context().attempt)
    current = asyncio.current_task()
    assert current is not None
    current.cancel()
    await asyncio.sleep(0)


@task(name="isolation_for_tests:generator_exit", max_attempts=2, retry_delay=0)
async def raise_generator_exit() -> None:
    seen.append(current_context().attempt)
    raise GeneratorExit


@task(name="isolation_for_tests:generator_exit_in_thread", max_attempts=2, retry_delay=0)
def raise_generator_exit_in_thread() -> None:
    seen.append(current_context().attempt)
    raise GeneratorExit


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (cancel_itself(), "TaskCancelled"),
        (raise_generator_exit(), "RuntimeError: the task raised GeneratorExit"),
        (raise_generator_exit_in_thread(), "RuntimeError: the task raised GeneratorExit"),
    ],
)
async def test_a_task_that_ends_itself_has_failed(
    new_driver: NewDriver, call: Any, error: str
) -> None:
    (dead,) = await work(new_driver, call)
    assert dead.note.startswith(error)
    assert seen == [1, 2]


async def test_a_task_that_others_cancel_has_failed(
    new_driver: NewDriver, ran: list[object]
) -> None:
    name = uuid.uuid4().hex
    gate = tasks.gates[name] = tasks.Gate()
    before = asyncio.all_tasks()
    await dispatch_many([tasks.pass_gate(name).max_attempts(1)])
    running = asyncio.create_task(Worker(new_driver(), burst=True).start())
    await wait_until(lambda: gate.inside == 1)
    for one in asyncio.all_tasks() - before - {running}:
        if "Starter" in repr(one.get_coro()):
            one.cancel()
    await running
    (dead,) = await look(new_driver)
    assert dead.note.startswith("TaskCancelled")


async def test_a_lease_that_is_lost_as_its_attempt_starts_frees_the_slot(
    new_driver: NewDriver, ran: list[object]
) -> None:
    driver = new_driver()
    await driver.connect()
    await dispatch_many([tasks.note("lost"), tasks.note("next")])
    worker = Worker(driver, concurrency=1)
    async with Engine(driver, worker._plan, BrokerHealth()) as engine:
        admission, table = engine._fetcher._admission, engine._in_flight
        (lost,) = await driver.dequeue(["default"], limit=1, lease=30, wait=5)
        admission.take([lost], 1)
        admission.leases_lost([lost])
        shutdown = Shutdown()
        running = asyncio.create_task(engine.run(shutdown))
        await wait_until(lambda: "next" in ran)
        shutdown.request("test")
        await running
        assert (table.running, table.suspected, table.buffered) == (0, 0, 0)
    await driver.disconnect()


class Stuck(Wrapped):
    """Cannot store the outcomes of one queue."""

    stuck = "stuck"

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        if any(one.delivery.queue == self.stuck for one in settlements):
            raise BrokerUnavailable("this queue is full")
        return await super().settle(settlements)


async def test_a_queue_that_takes_no_outcomes_holds_up_no_other(
    new_driver: NewDriver, ran: list[object]
) -> None:
    driver: Any = Stuck(new_driver())
    words = [str(n) for n in range(50)]
    await dispatch_many([tasks.note("first").on_queue("stuck"), *(tasks.note(w) for w in words)])
    worker = Worker(driver, queues=["stuck", "default"], concurrency=5, shutdown_timeout=0)
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: len(driver.settled) == len(words))
    status = worker.status()
    assert status is not None
    assert status.broker_silence > 0
    driver.stuck = ""
    await wait_until(lambda: len(driver.settled) == len(words) + 1)
    await wait_until(lambda: worker.status().broker_silence == 0)  # type: ignore[union-attr]
    await worker.stop()
    await running
    assert await look(new_driver, State.RUNNING) == []


class Silent(Wrapped):
    """Gives no answer any more, once `silent` is set."""

    silent = False

    async def dequeue(self, queues: Sequence[str], **options: Any) -> Sequence[Delivery]:
        await self._wait()
        return await super().dequeue(queues, **options)

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        await self._wait()
        return await super().settle(settlements)

    async def forget(self, worker_id: str) -> None:
        await self._wait()

    async def _wait(self) -> None:
        if self.silent:
            await asyncio.sleep(60)


async def test_an_end_with_a_silent_broker_takes_no_longer_than_it_may(
    new_driver: NewDriver, ran: list[object]
) -> None:
    name = uuid.uuid4().hex
    gate = tasks.gates[name] = tasks.Gate()
    driver: Any = Silent(new_driver())
    await dispatch_many([tasks.pass_gate(name)])
    worker = Worker(driver, shutdown_timeout=3)
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: gate.inside == 1)
    driver.silent = True
    gate.opened.set()
    started = asyncio.get_running_loop().time()
    await worker.stop()
    await running
    assert asyncio.get_running_loop().time() - started < 3 + 3


async def test_a_thread_that_cannot_keep_leases_ends_the_worker_with_one_line(
    new_driver: NewDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_descriptors_left() -> None:
        raise OSError(24, "Too many open files")

    driver: BaseDriver = new_driver()
    await driver.connect()
    monkeypatch.setattr(asyncio.events, "new_event_loop", no_descriptors_left)
    with pytest.raises(BrokerUnavailable, match=r"thread that keeps leases.*Too many open files"):
        await Worker(driver).start()
