"""How a worker starts and ends."""

import asyncio
import signal
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
import tasks_for_tests as tasks
from worker_for_tests import NewDriver, look, wait_until

from asynctasq import (
    ConfigError,
    TaskError,
    Worker,
    dispatch_many,
    init,
    run,
)
from asynctasq.core.worker import engine
from asynctasq.drivers import State
from asynctasq.drivers.memory import MemoryDriver, MemorySettings

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


async def started(new_driver: NewDriver, name: str, task: Any, **options: Any) -> Any:
    """A worker that runs one task which waits at its gate."""
    gate = tasks.gates[name] = tasks.Gate()
    await dispatch_many([task(name)])
    worker = Worker(new_driver(), **options)
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: gate.inside == 1)
    return worker, running, gate


async def test_a_second_request_does_not_wait(new_driver: NewDriver, ran: list[object]) -> None:
    worker, running, _ = await started(new_driver, uuid.uuid4().hex, tasks.pass_gate)
    await asyncio.gather(worker.stop(), worker.stop())
    await running
    assert ran == []
    assert [m.attempt for m in await look(new_driver, State.READY)] == [0]


async def test_a_task_that_ignores_its_cancellation_is_given_back(
    new_driver: NewDriver, ran: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CANCEL_PATIENCE", 0.1)
    worker, running, gate = await started(
        new_driver, uuid.uuid4().hex, tasks.swallow_cancellation, shutdown_timeout=0
    )
    before = asyncio.all_tasks()
    await worker.stop()
    await running
    assert [m.attempt for m in await look(new_driver, State.READY)] == [0]
    gate.opened.set()  # its outcome has nowhere to go, and must not wait for ever
    await wait_until(lambda: ran == ["cancelled", "ended"])
    await wait_until(lambda: asyncio.all_tasks() <= before - {running})
    assert len(await look(new_driver, State.READY)) == 1


async def test_an_error_of_a_task_that_was_stopped_is_no_failure(
    new_driver: NewDriver, ran: list[object]
) -> None:
    worker, running, _ = await started(
        new_driver, uuid.uuid4().hex, tasks.turn_cancellation_into_an_error, shutdown_timeout=0
    )
    await worker.stop()
    await running
    assert [m.attempt for m in await look(new_driver, State.READY)] == [0]


async def test_a_start_that_is_cancelled_while_it_stops_leaves_nothing(
    new_driver: NewDriver, ran: list[object]
) -> None:
    before = asyncio.all_tasks()
    worker, running, gate = await started(new_driver, uuid.uuid4().hex, tasks.pass_gate)
    stopping = asyncio.create_task(worker.stop())
    for _ in range(5):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running, stopping])
    assert gate.inside == 0
    assert asyncio.all_tasks() == before
    assert [m.attempt for m in await look(new_driver, State.READY)] == [0]


async def test_a_start_that_fails_half_way_leaves_nothing(new_driver: NewDriver) -> None:
    driver: Any = new_driver()

    async def fail(*_: Any, **__: Any) -> None:
        raise LookupError("no registry")

    driver.heartbeat = fail
    before = asyncio.all_tasks()
    worker = Worker(driver)
    with pytest.raises(LookupError):
        await worker.start()
    assert asyncio.all_tasks() == before
    await worker.stop()


def test_a_program_that_ends_under_a_worker_gives_back_what_ran(
    new_driver: NewDriver, ran: list[object]
) -> None:
    """asyncio.run cancels all tasks at its end, the attempts too."""

    async def main() -> None:
        name = uuid.uuid4().hex
        await started(new_driver, name, lambda name: tasks.pass_gate(name).max_attempts(1))

    asyncio.run(main())
    assert asyncio.run(look(new_driver)) == []
    left = asyncio.run(look(new_driver, State.DELAYED)) + asyncio.run(look(new_driver, State.READY))
    assert [message.attempt for message in left] == [0]


def test_a_worker_goes_from_loop_to_loop(new_driver: NewDriver, ran: list[object]) -> None:
    worker = Worker(new_driver())  # there is no loop yet

    async def main(word: str) -> None:
        running = asyncio.create_task(worker.start())
        await tasks.note(word).dispatch()
        await wait_until(lambda: word in ran)
        await worker.stop()
        await running

    for runner, word in [(asyncio.run, "a"), (asyncio.run, "b"), (run, "c")]:
        runner(main(word))  # type: ignore[operator]
    assert ran == ["a", "b", "c"]


def test_a_worker_runs_on_any_thread(new_driver: NewDriver, ran: list[object]) -> None:
    asyncio.run(dispatch_many([tasks.note("x")]))
    worker = Worker(new_driver(), burst=True)
    thread = threading.Thread(target=lambda: asyncio.run(worker.start()))
    thread.start()
    thread.join(20)
    assert ran == ["x"]


async def test_init_may_come_after_the_worker(ran: list[object], tmp_path: Path) -> None:
    init(driver="memory", memory_url="memory://elsewhere", default_queue="elsewhere")
    driver = MemoryDriver(MemorySettings(memory_url=f"memory://{tmp_path}"))
    worker = Worker(driver, queues=["default", "here"], burst=True)
    init(driver="memory", memory_url=f"memory://{tmp_path}", default_queue="here")
    await dispatch_many([tasks.dispatch_more("x")])
    await worker.start()
    assert ran == ["x"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_stop_a_worker_and_are_given_back(
    new_driver: NewDriver, ran: list[object], number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    _, running, gate = await started(new_driver, uuid.uuid4().hex, tasks.pass_gate)
    assert signal.getsignal(number) is not before
    signal.raise_signal(number)
    await asyncio.sleep(0.01)
    gate.opened.set()
    await running
    assert len(ran) == 1
    assert signal.getsignal(number) is before


async def test_an_embedded_worker_may_leave_signals_alone(new_driver: NewDriver) -> None:
    before = signal.getsignal(signal.SIGTERM)
    worker = Worker(new_driver(), handle_signals=False)
    running = asyncio.create_task(worker.start())
    await asyncio.sleep(0.05)
    assert signal.getsignal(signal.SIGTERM) is before
    await worker.stop()
    await running
