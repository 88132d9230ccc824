"""Dispatching inside a worker from an event loop that is not its own."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from contextvars import copy_context
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import tasks_for_tests as tasks
from worker_for_tests import NewDriver, look, wait_until, work

from asynctasq import (
    BrokerRejected,
    Config,
    DriverFactory,
    TaskError,
    Worker,
    current_context,
    dispatch_many,
    init,
    task,
)
from asynctasq.drivers import State
from asynctasq.events.records import Event, TaskEnqueued

pytestmark = pytest.mark.anyio


@task(max_attempts=1)
def run_a_loop(words: list[str]) -> None:
    async def main() -> None:
        await asyncio.gather(*(tasks.note(word).dispatch() for word in words))

    asyncio.run(main())
    tasks.ran.append("parent")


@task(max_attempts=1)
def run_a_loop_with_many(words: list[str]) -> None:
    asyncio.run(dispatch_many(tasks.note(word) for word in words))  # type: ignore[arg-type]
    tasks.ran.append("parent")


@task(max_attempts=1)
async def run_a_loop_in_a_thread(words: list[str]) -> None:
    def block() -> None:
        for word in words:
            asyncio.run(tasks.note(word).dispatch())  # type: ignore[arg-type]

    await asyncio.to_thread(block)
    tasks.ran.append("parent")


@task(max_attempts=1)
async def use_an_executor(words: list[str]) -> None:
    def block() -> None:
        loop = asyncio.new_event_loop()
        with closing(loop):
            for word in words:
                loop.run_until_complete(tasks.note(word).dispatch())

    await asyncio.get_running_loop().run_in_executor(None, copy_context().run, block)
    tasks.ran.append("parent")


@task(max_attempts=1)
def use_asgiref(words: list[str]) -> None:
    from asgiref.sync import async_to_sync

    for word in words:
        async_to_sync(tasks.note(word).dispatch)()
    tasks.ran.append("parent")


@task(max_attempts=1)
def dispatch_sync_inside_a_loop(words: list[str]) -> None:
    async def main() -> None:
        for word in words:
            tasks.note(word).dispatch_sync()

    asyncio.run(main())
    tasks.ran.append("parent")


WAYS = [
    run_a_loop,
    run_a_loop_with_many,
    run_a_loop_in_a_thread,
    use_an_executor,
    pytest.param(
        use_asgiref,
        marks=pytest.mark.skipif(find_spec("asgiref") is None, reason="asgiref is not installed"),
    ),
    dispatch_sync_inside_a_loop,
]


@pytest.mark.parametrize("way", WAYS)
async def test_children_are_stored_once_and_the_parent_is_done(
    new_driver: NewDriver, ran: list[object], way: Any
) -> None:
    async with asyncio.timeout(30):
        assert await work(new_driver, way(["a", "b", "c"])) == []
    assert sorted(map(str, ran)) == ["a", "b", "c", "parent"]
    for state in (State.READY, State.RUNNING, State.DELAYED):
        assert await look(new_driver, state) == []


async def test_ten_at_once_go_on_and_end(new_driver: NewDriver, ran: list[object]) -> None:
    calls = [run_a_loop([f"{n}-{m}" for m in range(5)]) for n in range(20)]
    async with asyncio.timeout(60):
        assert await work(new_driver, *calls) == []
    assert sorted(map(str, ran)) == sorted(
        [f"{n}-{m}" for n in range(20) for m in range(5)] + ["parent"] * 20
    )


@task(max_attempts=1)
def pass_the_context_on() -> None:
    tasks.ran.append(current_context().id)
    asyncio.run(tasks.tell_context().dispatch())  # type: ignore[arg-type]


async def test_a_child_has_the_correlation_id_of_its_parent(
    new_driver: NewDriver, ran: list[Any]
) -> None:
    await work(new_driver, pass_the_context_on())
    assert ran[1].correlation_id == ran[0]


@task(max_attempts=1)
def dispatch_what_cannot_travel() -> None:
    try:
        asyncio.run(tasks.note(object()).dispatch())  # type: ignore[arg-type]
    except Exception as error:
        tasks.ran.append(type(error).__name__)
        raise


async def test_an_error_reaches_the_caller(new_driver: NewDriver, ran: list[object]) -> None:
    (dead,) = await work(new_driver, dispatch_what_cannot_travel())
    assert ran == ["SerializationError"]
    assert dead.note.startswith("SerializationError")


class Log:
    def __init__(self) -> None:
        self.events: list[Event] = []

    async def emit(self, event: Event) -> None:
        self.events.append(event)


async def test_emitters_are_told_on_their_own_loop(
    new_driver: NewDriver, ran: list[object]
) -> None:
    log = Log()
    await work(new_driver, run_a_loop(["a", "b"]), emitters=[log])
    assert [event.name for event in log.events if isinstance(event, TaskEnqueued)] == [
        "tasks_for_tests:note"
    ] * 2


@task(max_attempts=1)
def dispatch_in_a_transaction(path: str, commit: bool) -> None:
    async def main() -> None:
        with closing(sqlite3.connect(path)) as connection:
            await tasks.note("child").dispatch(connection=connection)
            if commit:
                connection.commit()

    asyncio.run(main())


@pytest.mark.parametrize("commit", [True, False])
async def test_a_callers_connection_is_used_on_the_callers_loop(
    ran: list[object], tmp_path: Path, commit: bool
) -> None:
    """sqlite3 refuses a connection in another thread than the one that made it."""
    path, log = tmp_path / "queue.db", Log()
    config = init(driver="sqlite", sqlite_path=str(path))
    call = dispatch_in_a_transaction(str(path), commit)
    assert await work(partial(DriverFactory.create_from_config, config), call, emitters=[log]) == []
    assert ran == ["child"] * commit
    assert sum(isinstance(event, TaskEnqueued) for event in log.events) == 1


async def test_memory_refuses_a_connection_as_ever(
    ran: list[object], config: Config, new_driver: NewDriver
) -> None:
    if config.driver != "memory":
        return
    (dead,) = await work(new_driver, dispatch_in_a_transaction(":memory:", True))
    assert dead.note.startswith(BrokerRejected.__name__)


async def test_dispatch_sync_on_the_worker_loop_is_refused_as_ever(
    new_driver: NewDriver, ran: list[object]
) -> None:
    (dead,) = await work(new_driver, dispatch_sync_on_the_loop())
    assert "would block this event loop" in dead.note


@task(max_attempts=1)
async def dispatch_sync_on_the_loop() -> None:
    tasks.note("x").dispatch_sync()


@task(max_attempts=1)
def outlive_the_worker(ready: str) -> None:
    gates[ready].wait(20)
    try:
        asyncio.run(tasks.note("late").dispatch())  # type: ignore[arg-type]
    except TaskError as error:
        tasks.ran.append(str(error))
    else:
        tasks.ran.append("stored")
    done[ready].set()


gates: dict[str, threading.Event] = {}
done: dict[str, threading.Event] = {}


def test_a_thread_that_outlives_its_worker_and_loop_gets_one_error(
    new_driver: NewDriver, ran: list[object]
) -> None:
    gates["x"], done["x"] = threading.Event(), threading.Event()

    async def main() -> None:
        await outlive_the_worker("x").dispatch()
        worker = Worker(new_driver(), shutdown_timeout=0)
        running = asyncio.create_task(worker.start())
        await wait_until(lambda: (s := worker.status()) is not None and s.info.running == 1)
        await worker.stop()
        await running

    asyncio.run(main())
    gates["x"].set()
    assert done["x"].wait(20)
    (said,) = ran
    assert "the event loop that dispatches is closed" in str(said)
