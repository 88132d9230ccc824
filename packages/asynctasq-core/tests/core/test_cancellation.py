"""Cancelling the tasks of a worker: which cancellations end it, and that it ends in order."""

import asyncio
import sys
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import anyio
import pytest
from worker_for_tests import until_settled, wait_until

from asynctasq import Config, Worker, current_context, dispatch_many, init
from asynctasq import task as new_task
from asynctasq.drivers import Delivery, Settlement, State
from asynctasq.drivers.memory import MemoryDriver, MemorySettings
from asynctasq.events.records import Event, TaskSucceeded, WorkerHeartbeat
from asynctasq.tasks.context import running_task

pytestmark = pytest.mark.anyio

COUNT = 6
attempts: list[int] = []
began: list[int] = []


@new_task(name="cancellation_for_tests:wait")
async def wait(number: int) -> None:
    began.append(number)
    await asyncio.sleep(600)


@new_task(name="cancellation_for_tests:succeed")
async def succeed() -> None:
    pass


@new_task(
    name="cancellation_for_tests:cancel",
    max_attempts=3,
    retry_delay=0,
    retry_strategy="fixed",
)
async def cancel_all(itself: bool) -> None:
    attempts.append(current_context().attempt)
    for task in asyncio.all_tasks():
        if itself or task is not asyncio.current_task():
            task.cancel()
    await asyncio.sleep(0.05)
    raise ValueError("the worker should not have gone on")


class Remote(MemoryDriver):
    """A broker that takes a moment to answer."""

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        await asyncio.sleep(0.02)
        return await super().settle(settlements)

    async def disconnect(self) -> None:
        await asyncio.sleep(0.02)
        await super().disconnect()


@pytest.fixture
def settings() -> MemorySettings:
    attempts.clear()
    began.clear()
    return MemorySettings(memory_url=f"memory://{uuid.uuid4().hex}")


@pytest.fixture
def config(settings: MemorySettings) -> Config:
    return init(driver="memory", memory_url=settings.memory_url)


async def all_began() -> None:
    await wait_until(lambda: len(began) == COUNT)


async def by_anyio_scope(worker: Worker) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(worker.start)
        await all_began()
        group.cancel_scope.cancel()


async def by_task_group(worker: Worker) -> None:
    async def fail() -> None:
        await all_began()
        raise KeyError

    with suppress(BaseExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.start())
            group.create_task(fail())


async def again_and_again(worker: Worker) -> None:
    running = asyncio.create_task(worker.start())
    await all_began()
    while not running.done():
        running.cancel()
        await asyncio.sleep(0)
    assert running.cancelled()


@pytest.mark.parametrize("cancelled", [by_anyio_scope, by_task_group, again_and_again])
async def test_a_worker_that_is_cancelled_gives_back_what_ran(
    cancelled: Callable[[Worker], Awaitable[None]], settings: MemorySettings, config: Config
) -> None:
    await dispatch_many([wait(number) for number in range(COUNT)])
    await cancelled(Worker(Remote(settings), concurrency=COUNT, config=config))
    (stats,) = await MemoryDriver(settings).counts(["default"])
    assert (stats.ready, stats.running) == (COUNT, 0)


@pytest.mark.parametrize("itself", [True, False])
async def test_a_task_that_cancels_all_tasks_fails_and_its_worker_goes_on(
    itself: bool, settings: MemorySettings, config: Config
) -> None:
    events: list[Event] = []

    class Emitter:
        async def emit(self, event: Event) -> None:
            events.append(event)

    worker = Worker(
        MemoryDriver(settings),
        config=config,
        heartbeat_interval=0.05,
        emitters=[Emitter()],
        max_tasks=4,
    )
    await cancel_all(itself).dispatch()
    ending = asyncio.get_running_loop().run_in_executor(None, asyncio.run, worker.start())
    await until_settled(lambda: MemoryDriver(settings))
    assert attempts == [1, 2, 3]
    assert len(await MemoryDriver(settings).browse("default", State.DEAD, limit=9)) == 1
    events.clear()
    await wait_until(lambda: WorkerHeartbeat in {type(one) for one in events})
    await succeed().dispatch()
    await ending
    assert TaskSucceeded in {type(one) for one in events}


@pytest.mark.parametrize("method", ["dequeue", "settle", "counts"])
async def test_a_driver_that_raises_cancellederror_ends_no_worker(
    method: str, settings: MemorySettings, config: Config
) -> None:
    failures = [asyncio.CancelledError("a part of the driver was cancelled")] * 2

    class Cancelling(MemoryDriver):
        pass

    async def fail_at_first(self: Cancelling, *args: object, **options: object) -> object:
        if failures:
            raise failures.pop()
        return await getattr(super(Cancelling, self), method)(*args, **options)

    worker = Worker(Cancelling(settings), config=config, heartbeat_interval=0.05, burst=True)
    await succeed().dispatch()
    setattr(Cancelling, method, fail_at_first)
    async with asyncio.timeout(20):
        await worker.start()
    assert not failures
    (stats,) = await MemoryDriver(settings).counts(["default"])
    assert not stats.unfinished


async def test_outcomes_are_settled_outside_of_the_attempts_context(
    settings: MemorySettings, config: Config
) -> None:
    seen: list[bool] = []

    class Curious(MemoryDriver):
        async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
            seen.append(running_task.get(None) is not None)
            return await super().settle(settlements)

    await dispatch_many([succeed() for _ in range(COUNT)])
    await Worker(Curious(settings), config=config, burst=True).start()
    assert seen
    assert not any(seen)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks before")
async def test_a_worker_ends_on_a_loop_whose_tasks_start_eagerly(
    settings: MemorySettings, config: Config
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009 - not in 3.11
    await dispatch_many([succeed() for _ in range(COUNT)])
    async with asyncio.timeout(20):
        await Worker(MemoryDriver(settings), config=config, burst=True).start()
    (stats,) = await MemoryDriver(settings).counts(["default"])
    assert not stats.unfinished
