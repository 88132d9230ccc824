"""A worker runs messages and settles their outcomes."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tasks_for_tests as tasks
from worker_for_tests import NewDriver, look, wait_until, work

from asynctasq import MsgpackSerializer, Worker, dispatch_many
from asynctasq.core.execution.retry import NOT_KNOWN_YET
from asynctasq.core.worker import settler
from asynctasq.core.worker.fetcher import QueueOrder
from asynctasq.drivers import Delivery, Message, Outcome, QueueStats, Settlement, State
from asynctasq.serialization import Envelope, EnvelopeCodec, Signer

pytestmark = pytest.mark.anyio


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
        ("raise_unpicklable", "Unpicklable: cannot travel"),
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


@pytest.mark.usefixtures("longest_delays")
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
    assert ran == []  # neither here, where its hook is not called either


async def test_batch_mode_runs_exactly_so_many(new_driver: NewDriver, ran: list[object]) -> None:
    await dispatch_many([tasks.note(n) for n in range(30)])
    await Worker(new_driver(), concurrency=7, max_tasks=10).start()
    assert len(ran) == 10
    assert {m.attempt for m in await look(new_driver, State.READY)} == {0}


async def test_burst_waits_for_what_is_delayed(new_driver: NewDriver, ran: list[object]) -> None:
    await work(new_driver, tasks.note("later").delay(0.5))
    assert ran == ["later"]


async def test_burst_waits_for_its_own_retries_where_the_broker_cannot_count_them(
    new_driver: NewDriver, ran: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settler, "GRACE", 0.1)

    driver: Any = new_driver()
    counts = driver.counts

    async def without_delayed(queues: Sequence[str]) -> list[QueueStats]:
        return [replace(one, delayed=None) for one in await counts(queues)]

    monkeypatch.setattr(driver, "counts", without_delayed)
    await dispatch_many([tasks.fail_once_and_wait()])
    await Worker(driver, burst=True).start()
    assert ran == [1, 2]


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


async def test_a_task_can_ask_for_its_context_in_every_mode(
    new_driver: NewDriver, ran: list[object], tmp_path: Path
) -> None:
    path = tmp_path / "out"
    async_id = await tasks.tell_context().correlate("request-1").dispatch()
    await tasks.tell_context_in_thread().max_attempts(7).dispatch()
    process_ids = [await tasks.report_context(path).correlate(f"r{n}").dispatch() for n in "12"]
    await work(new_driver, worker_id="me", process_pool_size=1)
    contexts: dict[str, Any] = {context.name.split(":")[1]: context for context in ran}  # type: ignore[attr-defined]
    told = contexts["tell_context"]
    assert (told.id, told.correlation_id, told.worker_id) == (str(async_id), "request-1", "me")
    assert (told.attempt, told.max_attempts, told.queue) == (1, 3, "default")
    assert contexts["tell_context_in_thread"].max_attempts == 7
    assert sorted(path.read_text().split()) == sorted([*map(str, process_ids), "r1", "r2"])


async def test_a_tasks_calls_belong_to_what_it_belongs_to(
    new_driver: NewDriver, ran: list[object]
) -> None:
    await work(new_driver, tasks.dispatch_to_queue("default").correlate("request-1"))
    (first,) = ran
    assert first.correlation_id == "request-1"  # type: ignore[attr-defined]
    handle = await tasks.dispatch_to_queue("default").dispatch()
    await work(new_driver)
    assert ran[-1].correlation_id == handle.id  # type: ignore[attr-defined]


async def test_attempts_do_not_see_each_others_context(
    new_driver: NewDriver, ran: list[object], tmp_path: Path
) -> None:
    path = tmp_path / "out"
    calls = [tasks.leave_context(), tasks.leave_context_in_process(path)] * 2
    await work(new_driver, *calls, concurrency=1, process_pool_size=1)
    assert ran == ["unset", "unset"]
    assert path.read_text().split() == ["unset", "unset"]


@pytest.mark.parametrize(
    ("name", "start"), [("raise_long", "ValueError: xxx"), ("raise_mute", "Mute: (")]
)
async def test_a_note_can_be_stored_whatever_was_raised(
    new_driver: NewDriver, name: str, start: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", "asynctasq")  # what is raised cannot be written as UTF-8
    (dead,) = await work(new_driver, getattr(tasks, name)())
    assert dead.note.startswith(start)
    assert len(dead.note) < 20_000
    assert "\0" not in dead.note


@pytest.mark.parametrize("kind", ["exit", "cancelled"])
async def test_a_hook_ends_neither_the_worker_nor_in_a_loop(
    new_driver: NewDriver, ran: list[object], kind: str
) -> None:
    (dead,) = await work(new_driver, tasks.HookRaises(kind).call())
    assert ran == ["execute", "execute", "failed"]
    assert dead.note.startswith("RuntimeError")


async def test_a_hook_may_take_no_longer_than_its_task(
    new_driver: NewDriver, ran: list[object]
) -> None:
    assert len(await work(new_driver, tasks.HookHangs().call())) == 1
    assert ran == ["failed"]


async def test_the_caller_can_ask_for_no_delay(new_driver: NewDriver, ran: list[object]) -> None:
    call = tasks.BrokenHooks().retry_after(0)
    assert len(await work(new_driver, call)) == 1
    assert ran == ["execute", "execute"]


async def test_batch_mode_does_not_count_garbage(new_driver: NewDriver, ran: list[object]) -> None:
    driver = new_driver()
    await driver.connect()
    for number in range(6):
        await driver.enqueue([Message(str(number), "default", b"\xc1 garbage")])
        await dispatch_many([tasks.note(number)])
    await driver.disconnect()
    await Worker(new_driver(), concurrency=10, max_tasks=4).start()
    assert len(ran) == 4
    assert len(await look(new_driver, State.READY)) >= 2


class Careless(MsgpackSerializer):
    """Raises what a serializer should not."""

    def loads(self, data: bytes) -> object:
        if b"careless" in data:
            raise LookupError("careless")
        return super().loads(data)


@pytest.mark.usefixtures("longest_delays")
async def test_a_message_gets_an_outcome_whatever_a_serializer_raises(
    new_driver: NewDriver, ran: list[object]
) -> None:
    await dispatch_many([tasks.note("careless"), tasks.note("fine")])
    await Worker(new_driver(), serializer=Careless(), max_tasks=1).start()
    (message,) = await look(new_driver, State.DELAYED)
    assert message.attempt == 1
    assert ran == ["fine"]


@pytest.mark.usefixtures("longest_delays")
async def test_a_message_cannot_end_the_worker_with_a_module_that_exits(
    new_driver: NewDriver, ran: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "exits_for_tests.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    driver = new_driver()
    await driver.connect()
    body = EnvelopeCodec(MsgpackSerializer()).encode(Envelope("exits_for_tests:main"))
    await driver.enqueue([Message("1", "default", body)])
    await driver.disconnect()
    await dispatch_many([tasks.note("fine")])
    await Worker(new_driver(), max_tasks=1).start()
    assert ran == ["fine"]
    assert len(await look(new_driver, State.DELAYED)) == 1


async def test_an_unreadable_message_is_dead_in_the_end(new_driver: NewDriver) -> None:
    """What is unknown or not signed may be read after a deployment, but not for ever."""
    driver = new_driver()
    await driver.connect()
    signed = EnvelopeCodec(MsgpackSerializer(), Signer(["unknown"])).encode(Envelope("x"))
    await driver.enqueue([Message("1", "default", signed)])
    for _ in range(NOT_KNOWN_YET.max_attempts - 1):
        (delivery,) = await driver.dequeue(["default"], limit=1, lease=30, wait=5)
        await driver.settle([Settlement(delivery, Outcome.RETRY)])
    await driver.disconnect()
    (dead,) = await work(new_driver)
    assert dead.body == signed
    assert dead.note.startswith("SignatureError")
