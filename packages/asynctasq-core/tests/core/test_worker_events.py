"""The events of workers and producers."""

import asyncio
import logging
import uuid
from pathlib import Path
from typing import TypeVar

import pytest
import tasks_for_tests as tasks
from worker_for_tests import NewDriver, Wrapped, wait_until, work

from asynctasq import Config, Worker, dispatch_many, init, run
from asynctasq.core.producer.client import client
from asynctasq.events import (
    AttemptCancelled,
    AttemptEvent,
    Event,
    LeaseLost,
    LoggingEmitter,
    OutcomesSettled,
    TaskDied,
    TaskEnqueued,
    TaskEvent,
    TaskFailed,
    TaskRetried,
    TaskStarted,
    TaskSucceeded,
    WorkerHeartbeat,
    WorkerOffline,
    WorkerOnline,
)

pytestmark = pytest.mark.anyio
E = TypeVar("E", bound=Event)


class Recorder:
    """An emitter that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.closed = 0

    async def emit(self, event: Event) -> None:
        self.events.append(event)

    async def close(self) -> None:
        self.closed += 1

    def only(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def of_tasks(self) -> list[type[Event]]:
        return [type(event) for event in self.events if isinstance(event, TaskEvent)]


class Broken:
    """An emitter that raises, at its end as well."""

    async def emit(self, event: Event) -> None:
        raise RuntimeError("broken emitter")

    async def close(self) -> None:
        raise RuntimeError("broken emitter")


class Hanging:
    """An emitter that never comes back."""

    def __init__(self) -> None:
        self.called = False

    async def emit(self, event: Event) -> None:
        self.called = True
        await asyncio.Event().wait()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


async def test_a_success_is_told_from_start_to_settlement(
    new_driver: NewDriver, ran: list[object], recorder: Recorder
) -> None:
    await work(new_driver, tasks.note("x").correlate("order-1"), emitters=[recorder])
    assert isinstance(recorder.events[0], WorkerOnline)
    assert isinstance(recorder.events[-1], WorkerOffline)
    assert recorder.of_tasks() == [TaskStarted, TaskSucceeded]
    started, succeeded = recorder.only(AttemptEvent)
    assert (started.name, started.queue, started.attempt) == ("tasks_for_tests:note", "default", 1)
    assert started.correlation_id == succeeded.correlation_id == "order-1"
    assert started.task_id == succeeded.task_id
    assert recorder.only(TaskStarted)[0].enqueued_at <= started.time
    assert recorder.only(TaskSucceeded)[0].duration >= 0
    assert [event.count for event in recorder.only(OutcomesSettled)] == [1]
    assert recorder.closed == 1


async def test_a_task_that_waits_for_a_process_has_not_started(
    new_driver: NewDriver, recorder: Recorder, tmp_path: Path
) -> None:
    calls = [tasks.sleep_in_process(tmp_path / str(number), 0.3) for number in range(2)]
    await work(new_driver, *calls, emitters=[recorder], process_pool_size=1)
    assert recorder.of_tasks() == [TaskStarted, TaskSucceeded] * 2
    first, second = recorder.only(TaskSucceeded)
    assert second.time - first.time >= 0.3
    assert second.duration < second.time - recorder.only(TaskStarted)[0].time


async def test_failures_tell_what_follows(new_driver: NewDriver, recorder: Recorder) -> None:
    await work(new_driver, tasks.fail_twice(), tasks.give_up(), emitters=[recorder], concurrency=1)
    by_name = {
        name: [type(e) for e in recorder.only(TaskEvent) if e.name == f"tasks_for_tests:{name}"]
        for name in ("fail_twice", "give_up")
    }
    again = [TaskStarted, TaskFailed, TaskRetried]
    assert by_name["fail_twice"] == [*again, *again, TaskStarted, TaskSucceeded]
    assert by_name["give_up"] == [TaskStarted, TaskFailed, TaskDied]
    assert recorder.only(TaskDied)[0].error == "ValueError: no use"
    assert [event.attempt for event in recorder.only(TaskRetried)] == [1, 2]


async def test_a_shutdown_tells_what_it_cancels(new_driver: NewDriver, recorder: Recorder) -> None:
    gate = tasks.gates["events"] = tasks.Gate()
    await dispatch_many([tasks.pass_gate("events")])
    worker = Worker(new_driver(), shutdown_timeout=0, emitters=[recorder])
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: gate.inside == 1)
    await worker.stop()
    await running
    assert recorder.of_tasks() == [TaskStarted, AttemptCancelled]
    assert recorder.only(AttemptCancelled)[0].reason == "shutdown"


async def test_a_lost_lease_is_told(new_driver: NewDriver, recorder: Recorder) -> None:
    gate = tasks.gates["lost"] = tasks.Gate()
    driver = Wrapped(new_driver())
    driver.loses_leases = True
    await dispatch_many([tasks.pass_gate("lost")])
    worker = Worker(driver, lease=1, emitters=[recorder])  # pyright: ignore[reportArgumentType]
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: bool(recorder.only(AttemptCancelled)))
    driver.siblings[0].loses_leases = False
    gate.opened.set()  # it comes again when its lease has run out
    await wait_until(lambda: bool(recorder.only(TaskSucceeded)))
    await worker.stop()
    await running
    assert recorder.only(AttemptCancelled)[0].reason == "lease lost"
    assert recorder.only(LeaseLost)[0].task_id == recorder.only(AttemptCancelled)[0].task_id


async def test_a_worker_that_lives_says_so(new_driver: NewDriver, recorder: Recorder) -> None:
    worker = Worker(new_driver(), heartbeat_interval=0.01, emitters=[recorder])
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: len(recorder.only(WorkerHeartbeat)) > 1)
    await worker.stop()
    await running
    assert {event.info.id for event in recorder.only(WorkerHeartbeat)} == {worker.id}


async def test_emitters_that_raise_or_hang_harm_nobody(
    new_driver: NewDriver,
    ran: list[object],
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("asynctasq.events.stream.PATIENCE", 0.1)
    hanging = Hanging()
    await work(new_driver, tasks.note("x"), emitters=[Broken(), hanging, recorder])
    assert ran == ["x"]
    assert hanging.called
    assert recorder.of_tasks() == [TaskStarted, TaskSucceeded]
    assert "too slow" in caplog.text


async def test_a_task_tells_its_workers_emitters_what_it_dispatches(
    new_driver: NewDriver, recorder: Recorder
) -> None:
    await work(new_driver, tasks.dispatch_more("y"), emitters=[recorder])
    (enqueued,) = recorder.only(TaskEnqueued)
    parent = next(event for event in recorder.only(TaskStarted) if "dispatch_more" in event.name)
    assert (enqueued.name, enqueued.correlation_id) == ("tasks_for_tests:note", parent.task_id)


def test_a_producer_tells_what_it_stored_though_its_program_ends(recorder: Recorder) -> None:
    class Slow(Recorder):
        async def emit(self, event: Event) -> None:
            await asyncio.sleep(0.05)  # the program has ended by then
            await super().emit(event)

    slow = Slow()
    init(driver="memory", memory_url=f"memory://{uuid.uuid4().hex}", emitters=[slow, recorder])
    try:
        handle = run(_dispatch_one())
    finally:
        init(driver="memory", emitters=[])
    for one in (slow, recorder):
        (event,) = one.only(TaskEnqueued)
        assert (event.task_id, event.queue, event.delay) == (handle, "q", 5)
        assert one.closed == 1


def test_a_batch_of_any_size_is_told_completely(recorder: Recorder) -> None:
    async def dispatch() -> None:
        await dispatch_many([tasks.note(number) for number in range(12_000)])

    init(driver="memory", memory_url=f"memory://{uuid.uuid4().hex}", emitters=[recorder])
    try:
        run(dispatch())
    finally:
        init(driver="memory", emitters=[])
    assert len(recorder.only(TaskEnqueued)) == 12_000


async def _dispatch_one() -> str:
    return str(await tasks.note("x").on_queue("q").delay(5).dispatch())


def test_synchronous_code_tells_too_and_in_its_transaction(
    tmp_path: Path, recorder: Recorder
) -> None:
    import sqlite3

    path = str(tmp_path / "queue.db")
    init(driver="sqlite", sqlite_path=path, emitters=[recorder])
    try:
        handles = [tasks.note("plain").dispatch_sync()]
        connection = sqlite3.connect(path)
        handles.append(tasks.note("joined").dispatch_sync(connection=connection))
        connection.commit()
        connection.close()
        client.end_thread()
    finally:
        init(driver="memory", emitters=[])
    assert [event.task_id for event in recorder.only(TaskEnqueued)] == [h.id for h in handles]


async def test_the_log_emitter_writes_one_structured_line_for_each(
    new_driver: NewDriver, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="asynctasq.events"):
        await work(
            new_driver, tasks.note("x"), tasks.give_up(), emitters=[LoggingEmitter()],
            concurrency=1, worker_id="me",
        )  # fmt: skip
    lines = [record for record in caplog.records if record.name == "asynctasq.events"]
    kinds = [vars(record)["event"] for record in lines]
    assert kinds[0] == "worker_online"
    assert kinds[-1] == "worker_offline"
    started = next(record for record in lines if vars(record)["event"] == "task_started")
    assert vars(started)["task_name"] == "tasks_for_tests:note"
    assert vars(started)["attempt"] == 1
    died = next(record for record in lines if vars(record)["event"] == "task_died")
    assert died.getMessage() == (
        "task_died tasks_for_tests:give_up worker_id=me error=ValueError: no use"
    )
