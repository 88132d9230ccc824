"""SIGTERM and SIGINT of a process with one worker, several, and handlers of the application."""

import asyncio
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
import tasks_for_tests as tasks
from worker_for_tests import NewDriver, wait_until

from asynctasq import Worker, dispatch_many, run
from asynctasq.core.worker.shutdown import Shutdown

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="no such signals"),
]
BOTH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Whatever a test does, the next one finds the handlers that were there."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Calls:
    """A handler of the application."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.numbers: list[int] = []
        self.error = error

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.numbers.append(number)
        if self.error is not None:
            raise self.error


def started(*workers: Worker) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(worker.start()) for worker in workers]


async def until_running(*workers: Worker) -> None:
    await wait_until(lambda: all(worker.status() is not None for worker in workers))


async def ended(*running: asyncio.Task[None]) -> None:
    async with asyncio.timeout(20):
        await asyncio.gather(*running)


@BOTH
async def test_one_signal_stops_all_workers(
    new_driver: NewDriver, ran: list[object], number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    name = uuid.uuid4().hex
    gate = tasks.gates[name] = tasks.Gate()
    await dispatch_many([tasks.pass_gate(name) for _ in range(3)])
    workers = [Worker(new_driver(), concurrency=1) for _ in range(3)]
    running = started(*workers)
    await wait_until(lambda: gate.inside == 3)
    signal.raise_signal(number)
    await asyncio.sleep(0)
    gate.opened.set()
    await ended(*running)
    assert ran == [name] * 3
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_workers_may_leave_in_any_order(new_driver: NewDriver, order: tuple[int]) -> None:
    calls = Calls()
    signal.signal(signal.SIGTERM, calls)
    workers = [Worker(new_driver()) for _ in range(3)]
    running = started(*workers)
    await until_running(*workers)
    for number in order[:2]:
        await workers[number].stop()
        assert signal.getsignal(signal.SIGTERM) is not calls
    signal.raise_signal(signal.SIGTERM)
    await ended(*running)
    assert calls.numbers == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is calls


async def test_the_applications_handler_is_called_for_each_signal(new_driver: NewDriver) -> None:
    calls = Calls()
    signal.signal(signal.SIGINT, calls)
    signal.signal(signal.SIGTERM, calls)
    worker = Worker(new_driver())
    running = started(worker)
    await until_running(worker)
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)
    await ended(*running)
    assert calls.numbers == [signal.SIGTERM, signal.SIGINT]
    signal.raise_signal(signal.SIGTERM)
    assert len(calls.numbers) == 3


async def test_handlers_of_the_event_loop_are_called_too(new_driver: NewDriver) -> None:
    called = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, called.set)
    worker = Worker(new_driver())
    running = started(worker)
    await until_running(worker)
    signal.raise_signal(signal.SIGTERM)
    await ended(*running)
    async with asyncio.timeout(20):
        await called.wait()
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)


@pytest.mark.parametrize("error", [SystemExit(5), KeyboardInterrupt(), LookupError("mine")])
def test_an_exit_of_the_applications_handler_comes_after_the_workers(
    new_driver: NewDriver, ran: list[object], error: BaseException
) -> None:
    calls = Calls(error)
    signal.signal(signal.SIGTERM, calls)

    async def main() -> None:
        name = uuid.uuid4().hex
        gate = tasks.gates[name] = tasks.Gate()
        await dispatch_many([tasks.pass_gate(name)])
        worker = Worker(new_driver())
        asyncio.get_running_loop().call_later(0.05, gate.opened.set)
        releasing = asyncio.create_task(wait_until(lambda: gate.inside == 1))
        releasing.add_done_callback(lambda _: signal.raise_signal(signal.SIGTERM))
        await worker.start()

    with pytest.raises(type(error)) as caught:
        run(main())
    assert caught.value is error
    assert len(ran) == 1
    assert signal.getsignal(signal.SIGTERM) is calls


@pytest.mark.parametrize("runner", [run, asyncio.run])
def test_an_interrupt_ends_the_worker_and_not_the_program(
    new_driver: NewDriver, runner: Callable[..., str]
) -> None:
    """asyncio's own handler would cancel the main task."""
    signal.signal(signal.SIGINT, signal.default_int_handler)

    async def main() -> str:
        worker = Worker(new_driver())
        running = started(worker)
        await until_running(worker)
        signal.raise_signal(signal.SIGINT)
        await ended(*running)
        return "went on"

    assert runner(main()) == "went on"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


async def test_a_handler_that_came_meanwhile_is_left_alone(new_driver: NewDriver) -> None:
    before = Calls()
    signal.signal(signal.SIGTERM, before)
    worker, calls = Worker(new_driver()), Calls()
    running = started(worker)
    await until_running(worker)
    ours = signal.signal(signal.SIGTERM, calls)
    signal.raise_signal(signal.SIGTERM)
    assert (calls.numbers, before.numbers) == ([signal.SIGTERM], [])
    await worker.stop()
    await ended(*running)
    assert signal.getsignal(signal.SIGTERM) is calls
    # who installed it puts back what was there, when no worker is left
    signal.signal(signal.SIGTERM, ours)
    signal.raise_signal(signal.SIGTERM)
    assert before.numbers == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before


async def test_a_handler_between_two_workers_is_called_with_both(new_driver: NewDriver) -> None:
    first, second, calls = Worker(new_driver()), Worker(new_driver()), Calls()
    running = started(first)
    await until_running(first)
    ours: Any = signal.getsignal(signal.SIGTERM)

    def chained(number: int, frame: FrameType | None) -> None:
        calls(number, frame)
        ours(number, frame)  # as well-behaved handlers do

    signal.signal(signal.SIGTERM, chained)
    running += started(second)
    await until_running(second)
    signal.raise_signal(signal.SIGTERM)
    await ended(*running)
    assert calls.numbers == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is chained


async def test_a_second_signal_forces_all_workers(new_driver: NewDriver, ran: list[object]) -> None:
    name = uuid.uuid4().hex
    gate = tasks.gates[name] = tasks.Gate()
    await dispatch_many([tasks.pass_gate(name) for _ in range(2)])
    running = started(*(Worker(new_driver(), concurrency=1) for _ in range(2)))
    await wait_until(lambda: gate.inside == 2)
    signal.raise_signal(signal.SIGTERM)
    await asyncio.sleep(0)
    signal.raise_signal(signal.SIGTERM)
    await ended(*running)
    assert ran == []


async def in_thread(new_driver: NewDriver) -> tuple[threading.Thread, Worker]:
    """A worker on a loop of its own."""
    worker = Worker(new_driver())
    thread = threading.Thread(target=lambda: asyncio.run(worker.start()))
    thread.start()
    await until_running(worker)
    return thread, worker


@pytest.mark.parametrize("first", ["main", "thread"])
async def test_workers_on_loops_of_other_threads_stop_too(
    new_driver: NewDriver, first: str
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    worker = Worker(new_driver())
    running = started(worker) if first == "main" else []
    if running:
        await until_running(worker)
    thread, _ = await in_thread(new_driver)
    running = running or started(worker)
    await until_running(worker)
    signal.raise_signal(signal.SIGTERM)
    await ended(*running)
    await asyncio.to_thread(thread.join, 20)
    assert not thread.is_alive()
    await wait_until(lambda: signal.getsignal(signal.SIGTERM) is before)


async def test_a_thread_that_is_left_over_still_gets_signals(new_driver: NewDriver) -> None:
    before = signal.getsignal(signal.SIGTERM)
    worker = Worker(new_driver())
    running = started(worker)
    await until_running(worker)
    thread, _ = await in_thread(new_driver)
    await worker.stop()
    await ended(*running)
    signal.raise_signal(signal.SIGTERM)
    await asyncio.to_thread(thread.join, 20)
    assert not thread.is_alive()
    await wait_until(lambda: signal.getsignal(signal.SIGTERM) is before)


def test_a_loop_that_is_closed_keeps_no_signal_from_others() -> None:
    """A worker that was torn down with its loop."""
    asked: list[str] = []

    async def abandon() -> Any:
        entered = Shutdown().on_signals()
        entered.__enter__()
        return entered

    async def main() -> None:
        shutdown = Shutdown()
        with shutdown.on_signals():
            signal.raise_signal(signal.SIGTERM)
            async with asyncio.timeout(20):
                await shutdown.requested.wait()
        asked.append("asked")

    abandoned = asyncio.run(abandon())
    asyncio.run(main())
    abandoned.__exit__(None, None, None)
    assert asked == ["asked"]
