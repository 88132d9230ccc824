"""What a worker does with messages."""

import asyncio
import importlib
import multiprocessing
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from asynctasq import (
    BaseDriver,
    BrokerUnavailable,
    ConfigError,
    Delivery,
    Message,
    Settlement,
    TaskCall,
    TaskError,
    Worker,
    dispatch_many,
)
from asynctasq.core.fetcher import QueueOrder
from asynctasq.drivers import State
from asynctasq.events import Event, TaskSucceeded, WorkerOffline, WorkerOnline

NewDriver = Callable[[], BaseDriver]

pytestmark = pytest.mark.anyio


def _load() -> Any:
    """The tasks, under a name that child processes can import, too."""
    sys.path.insert(0, str(Path(__file__).parent))
    return importlib.import_module("tasks_for_tests")


tasks = _load()


@pytest.fixture(autouse=True)
def ran() -> Iterator[list[object]]:
    tasks.ran.clear()
    before = set(threading.enumerate())
    yield tasks.ran
    _until(lambda: not [t for t in set(threading.enumerate()) - before if _is_ours(t)])
    _until(lambda: not multiprocessing.active_children())


def _is_ours(thread: threading.Thread) -> bool:
    return thread.name.startswith("asynctasq") and thread.name != "asynctasq-dispatch"


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def work(new_driver: NewDriver, *calls: TaskCall[Any], **options: Any) -> list[Any]:
    """Run calls to their end, and return the dead messages."""
    await dispatch_many(calls)
    await Worker(new_driver(), **{"burst": True, **options}).start()
    return await look(new_driver)


async def look(new_driver: NewDriver, state: State = State.DEAD) -> list[Any]:
    driver: Any = new_driver()
    await driver.connect()
    found = list(await driver.browse("default", state, limit=100))
    await driver.disconnect()
    return found


async def test_tasks_run_once_in_every_mode(
    new_driver: NewDriver, ran: list[object], tmp_path: Path
) -> None:
    path = tmp_path / "out"
    calls = (
        tasks.note("async"),
        tasks.note_in_thread("thread"),
        tasks.write(path, "process"),
        tasks.write_async(path, "async"),
    )
    assert await work(new_driver, *calls) == []
    assert sorted(map(str, ran)) == ["async", "thread"]
    lines = sorted(path.read_text().splitlines())
    assert lines[0] == "async"
    assert lines[1].startswith("process 1 default ")


async def test_retries_end_with_success(new_driver: NewDriver, ran: list[object]) -> None:
    assert await work(new_driver, tasks.fail_twice()) == []
    assert ran == [1, 2, 3]


async def test_the_caller_can_allow_fewer_attempts(
    new_driver: NewDriver, ran: list[object]
) -> None:
    (dead,) = await work(new_driver, tasks.fail_twice().max_attempts(2))
    assert ran == [1, 2]
    assert (dead.attempt, dead.note.splitlines()[0]) == (2, "ConnectionError")


@pytest.mark.parametrize("name", ["give_up", "retry_os_errors_only"])
async def test_rules_for_exceptions_end_retries(
    new_driver: NewDriver, ran: list[object], name: str
) -> None:
    assert len(await work(new_driver, getattr(tasks, name)())) == 1
    assert ran == ["tried"]


@pytest.mark.parametrize(("message", "attempts"), [("again", 3), ("never", 1)])
async def test_hooks_decide_and_clean_up(
    new_driver: NewDriver, ran: list[object], message: str, attempts: int
) -> None:
    (dead,) = await work(new_driver, tasks.Hooked(message).call())
    assert ran == [*(("execute", n + 1) for n in range(attempts)), ("failed", message)]
    assert "tasks_for_tests.py" in dead.note
    assert "executor.py" not in dead.note


async def test_broken_hooks_change_nothing(new_driver: NewDriver, ran: list[object]) -> None:
    assert len(await work(new_driver, tasks.BrokenHooks().call())) == 1
    assert ran == ["execute", "execute"]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("slow_async", "TaskTimeout"),
        ("slow_thread", "TaskTimeout"),
        ("slow_process", "TaskTimeout"),
        ("die", "WorkerDied"),
        ("raise_in_process", "KeyError"),
        ("raise_unpicklable", "TaskError"),
        ("raise_exit", "SystemExit"),
        ("raise_cancelled", "TaskCancelled"),
        ("raise_interrupt", "KeyboardInterrupt"),
    ],
)
async def test_whatever_a_task_does_it_ends_alone(
    new_driver: NewDriver, ran: list[object], name: str, error: str
) -> None:
    (dead,) = await work(new_driver, getattr(tasks, name)(), tasks.note("neighbour"))
    assert dead.note.startswith(error)
    assert ran == ["neighbour"]


async def test_a_childs_traceback_travels(new_driver: NewDriver) -> None:
    (dead,) = await work(new_driver, tasks.raise_in_process())
    assert "raise_in_process" in dead.note


async def test_processes_are_replaced_after_their_share(
    new_driver: NewDriver, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    calls = [tasks.write(path, "x") for _ in range(4)]
    await work(new_driver, *calls, process_pool_size=1, process_pool_max_tasks_per_child=2)
    pids = [line.split()[-1] for line in path.read_text().splitlines()]
    assert len(pids) == 4
    assert len(set(pids)) == 2


@pytest.mark.parametrize("name", ["dispatch_more", "dispatch_more_in_thread"])
async def test_tasks_dispatch_to_their_workers_broker(
    new_driver: NewDriver, ran: list[object], name: str
) -> None:
    await work(new_driver, getattr(tasks, name)("more"))
    assert ran == ["more"]


async def test_garbage_is_dead_byte_for_byte(new_driver: NewDriver, ran: list[object]) -> None:
    driver = new_driver()
    await driver.connect()
    await driver.enqueue([Message("1", "default", b"\xc1\xff garbage")])
    await driver.disconnect()
    (dead,) = await work(new_driver, tasks.note("neighbour"))
    assert dead.body == b"\xc1\xff garbage"
    assert ran == ["neighbour"]


async def test_an_unknown_task_is_tried_again_later(new_driver: NewDriver) -> None:
    await dispatch_many([tasks.note("x")])
    from asynctasq.tasks.registry import TaskRegistry

    worker = Worker(new_driver(), registry=TaskRegistry())
    running = asyncio.create_task(worker.start())
    driver: Any = new_driver()
    await driver.connect()
    async with asyncio.timeout(20):
        while not (await driver.queues())[0].delayed:
            await asyncio.sleep(0.01)
    (message,) = await driver.browse("default", State.DELAYED, limit=10)
    assert message.attempt == 1
    await driver.disconnect()
    await worker.stop()
    await running


async def test_a_message_whose_workers_died_is_dead(
    new_driver: NewDriver, ran: list[object]
) -> None:
    await dispatch_many([tasks.Hooked("x").on_queue("default").max_attempts(1)])
    driver = new_driver()
    await driver.connect()
    assert len(await driver.dequeue(["default"], limit=1, lease=0.05, wait=5)) == 1
    await driver.disconnect()
    await Worker(new_driver(), burst=True).start()
    (dead,) = await look(new_driver)
    assert dead.note.startswith("WorkerDied: delivered 2 times")
    assert [word for word, *_ in ran] == ["failed"]  # type: ignore[misc]


async def test_batch_mode_runs_exactly_so_many(new_driver: NewDriver, ran: list[object]) -> None:
    await dispatch_many([tasks.note(n) for n in range(30)])
    await Worker(new_driver(), concurrency=7, max_tasks=10).start()
    assert len(ran) == 10
    assert {m.attempt for m in await look(new_driver, State.READY)} == {0}


async def test_burst_waits_for_what_is_delayed(new_driver: NewDriver, ran: list[object]) -> None:
    await work(new_driver, tasks.note("later").delay(0.5))
    assert ran == ["later"]


async def test_no_more_tasks_run_at_once_than_allowed(new_driver: NewDriver) -> None:
    name = uuid.uuid4().hex
    gate = tasks.gates[name] = tasks.Gate()
    await dispatch_many([tasks.pass_gate(name) for _ in range(20)])
    worker = Worker(new_driver(), concurrency=4, max_tasks=20)
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: gate.inside == 4)
    gate.opened.set()
    await running
    assert gate.most == 4


async def test_a_backlog_starves_no_other_queue(new_driver: NewDriver, ran: list[object]) -> None:
    await dispatch_many([tasks.note("a").on_queue("a") for _ in range(50)])
    await dispatch_many([tasks.note("b").on_queue("b") for _ in range(3)])
    await Worker(new_driver(), queues=["a", "b"], concurrency=1, max_tasks=6).start()
    assert ran[0] == "a"
    assert ran.count("b") == 3


def test_a_pass_asks_every_queue_before_the_first_again() -> None:
    order = QueueOrder(["a", "b", "c"])
    delivery = {name: Delivery("1", name, b"", 1, None) for name in "abc"}
    assert order.current() == ["a", "b", "c"]
    order.fetched([delivery["a"]], limit=1)
    assert order.current() == ["b", "c", "a"]
    order.fetched([delivery["c"]], limit=1)
    assert order.current() == ["a", "b", "c"]
    order.fetched([delivery["b"]], limit=2)
    assert order.current() == ["a", "b", "c"]


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


class Wrapped:
    """A driver that does something else for a while."""

    def __init__(self, driver: BaseDriver) -> None:
        self._driver = driver
        self.failures = {"dequeue": 0, "settle": 0, "extend": 0}
        self.loses_leases = False
        self.settled: list[Settlement] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def sibling(self) -> "Wrapped":
        sibling = Wrapped(self._driver.sibling())
        sibling.loses_leases = self.loses_leases
        return sibling

    async def dequeue(self, queues: Sequence[str], **options: Any) -> Sequence[Delivery]:
        self._fail("dequeue")
        return await self._driver.dequeue(queues, **options)

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        self._fail("settle")
        self.settled += settlements
        return await self._driver.settle(settlements)

    async def extend(self, deliveries: Sequence[Delivery], *, lease: float) -> Sequence[Delivery]:
        return deliveries if self.loses_leases else []

    def _fail(self, name: str) -> None:
        if self.failures[name]:
            self.failures[name] -= 1
            raise BrokerUnavailable("away")


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


class Recorder:
    """An emitter that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def emit(self, event: Event) -> None:
        self.events.append(event)


class Broken:
    """An emitter that raises."""

    async def emit(self, event: Event) -> None:
        raise RuntimeError("broken emitter")


async def test_events_tell_and_harm_nobody(new_driver: NewDriver, ran: list[object]) -> None:
    recorder = Recorder()
    await work(new_driver, tasks.note("x"), emitters=[Broken(), recorder])
    assert ran == ["x"]
    kinds = [type(event) for event in recorder.events]
    assert kinds[0] is WorkerOnline
    assert kinds[-1] is WorkerOffline
    assert TaskSucceeded in kinds


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


async def test_child_processes_dispatch_to_the_configured_broker(
    tmp_path: Path, ran: list[object]
) -> None:
    from asynctasq import DriverFactory, init

    config = init(driver="sqlite", sqlite_path=str(tmp_path / "queue.db"))
    await work(
        lambda: DriverFactory.create_from_config(config), tasks.dispatch_from_process("child")
    )
    assert ran == ["child"]
