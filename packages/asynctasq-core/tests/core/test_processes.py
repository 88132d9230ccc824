"""Tasks in processes."""

import asyncio
import multiprocessing
import os
from pathlib import Path

import pytest
import tasks_for_tests as tasks
from worker_for_tests import NewDriver, look, until_settled, wait_until, work

from asynctasq import Config, DriverFactory, MsgpackSerializer, Worker, dispatch_many, init
from asynctasq.core.execution.process_child import Job, Setup
from asynctasq.core.execution.process_pool import ProcessPool
from asynctasq.core.producer.client import configure_client
from asynctasq.drivers import Message, State
from asynctasq.drivers.memory import MemoryDriver, MemorySettings
from asynctasq.serialization import Envelope, EnvelopeCodec
from asynctasq.tasks.context import TaskContext

pytestmark = pytest.mark.anyio


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


async def test_child_processes_dispatch_to_the_configured_broker(
    tmp_path: Path, ran: list[object]
) -> None:
    config = init(driver="sqlite", sqlite_path=str(tmp_path / "queue.db"))
    await work(
        lambda: DriverFactory.create_from_config(config), tasks.dispatch_from_process("child")
    )
    assert ran == ["child"]


async def test_a_child_that_dies_or_is_killed_takes_nobody_along(
    new_driver: NewDriver, tmp_path: Path
) -> None:
    paths = [tmp_path / str(n) for n in range(3)]
    calls = [tasks.sleep_in_process(path, 1.0) for path in paths]
    dead = await work(new_driver, *calls, tasks.die(), tasks.slow_process(), process_pool_size=5)
    notes = sorted(message.note.split(":")[0] for message in dead)
    assert notes == ["TaskTimeout", "WorkerDied"]
    assert len({path.read_text() for path in paths}) == 3


async def test_a_timeout_leaves_no_process(new_driver: NewDriver, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    call = tasks.sleep_in_process(path, 60).timeout(1).max_attempts(1)
    (dead,) = await work(new_driver, call)
    assert dead.note.startswith("TaskTimeout: longer than 1 s")
    with pytest.raises(ProcessLookupError):
        os.kill(int(path.read_text()), 0)


async def test_a_stop_ends_processes_and_gives_back_their_jobs(
    new_driver: NewDriver, tmp_path: Path
) -> None:
    path = tmp_path / "pid"
    waiting = tasks.sleep_in_process(tmp_path / "other", 60)
    await dispatch_many([tasks.sleep_in_process(path, 60), waiting])
    worker = Worker(new_driver(), process_pool_size=1, shutdown_timeout=0)
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: path.exists() and path.read_text() != "")
    await worker.stop()
    await running
    with pytest.raises(ProcessLookupError):
        os.kill(int(path.read_text()), 0)
    assert [m.attempt for m in await look(new_driver, State.READY)] == [0, 0]
    assert not (tmp_path / "other").exists()


async def test_an_idle_process_that_died_is_replaced(new_driver: NewDriver, tmp_path: Path) -> None:
    path = tmp_path / "out"
    worker = Worker(new_driver(), process_pool_size=1)
    running = asyncio.create_task(worker.start())
    await tasks.write(path, "one").max_attempts(1).dispatch()
    await wait_until(lambda: path.exists() and path.read_text().count("\n") == 1)
    await until_settled(new_driver)  # before that the process is not idle
    (child,) = multiprocessing.active_children()
    child.kill()
    child.join()
    await tasks.write(path, "two").max_attempts(1).dispatch()
    await wait_until(lambda: path.read_text().count("\n") == 2)
    await worker.stop()
    await running
    assert await look(new_driver) == []


async def test_types_of_the_application_reach_processes(ran: list[object], tmp_path: Path) -> None:
    serializer = MsgpackSerializer(tasks.CELSIUS)
    init(driver="memory", memory_url=f"memory://{tmp_path}", serializer=serializer)
    try:
        path = tmp_path / "out"
        driver = MemoryDriver(MemorySettings(memory_url=f"memory://{tmp_path}"))
        await work(lambda: driver, tasks.write_celsius(path, tasks.Celsius(1.5)))
        assert path.read_text() == "<class 'tasks_for_tests.Celsius'>"
    finally:
        init(driver="memory", serializer=MsgpackSerializer())


async def test_processes_dispatch_to_their_workers_broker(
    ran: list[object], tmp_path: Path
) -> None:
    """It need not be the one that `init` knows."""
    init(driver="memory", memory_url=f"memory://{tmp_path}")
    here = Config(driver="sqlite", sqlite_path=str(tmp_path / "here.db"))
    driver = DriverFactory.create_from_config(here)
    await driver.connect()
    codec = EnvelopeCodec(MsgpackSerializer())
    envelope = Envelope(tasks.dispatch_from_process.definition.name, ("child",))
    await driver.enqueue([Message("1", "default", codec.encode(envelope))])
    await Worker(driver, burst=True).start()
    assert ran == ["child"]


async def test_a_stop_does_not_wait_for_a_process_to_come_up(
    new_driver: NewDriver, tmp_path: Path
) -> None:
    await dispatch_many([tasks.write(tmp_path / "out", "x")])
    worker = Worker(new_driver())
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: bool(multiprocessing.active_children()))
    await worker.stop()
    await running
    assert multiprocessing.active_children() == []
    assert [m.attempt for m in await look(new_driver, State.READY)] == [0]


async def test_a_process_that_comes_up_too_late_is_there_for_the_next_job(tmp_path: Path) -> None:
    config = Config(driver="memory")
    codec = EnvelopeCodec(MsgpackSerializer())
    envelope = Envelope(tasks.write.definition.name, (str(tmp_path / "out"), "x"))
    context = TaskContext("1", "write", 1, 1, "default", "worker", 0.0)
    job = Job(codec.encode(envelope), tasks.write.definition.origin, context)
    driver = DriverFactory.create_from_config(config)
    pool = ProcessPool(1, None, Setup.of(driver, config, MsgpackSerializer(), configure_client))
    cancelled = asyncio.create_task(pool.run(job, None, lambda: None))
    await wait_until(lambda: bool(multiprocessing.active_children()))
    cancelled.cancel()
    await asyncio.wait([cancelled])
    (started,) = multiprocessing.active_children()
    await wait_until(lambda: bool(pool._children._idle))
    await pool.run(job, None, lambda: None)
    assert multiprocessing.active_children() == [started]
    assert (tmp_path / "out").read_text() != ""
    await pool.close()
    assert multiprocessing.active_children() == []
