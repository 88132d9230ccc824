"""The start and the end of child processes, and the processes that tasks start."""

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import children_for_tests as tasks
import pytest
from worker_for_tests import NewDriver, wait_until, work

from asynctasq import BaseTask, Config, DriverFactory, MsgpackSerializer
from asynctasq.core.execution import children
from asynctasq.core.execution.failure import Failure
from asynctasq.core.execution.process_child import Job, Setup
from asynctasq.core.execution.process_pool import ProcessPool
from asynctasq.core.producer.client import configure_client
from asynctasq.serialization import Envelope, EnvelopeCodec
from asynctasq.tasks.context import TaskContext

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("how", sorted(tasks.EXITS))
@pytest.mark.parametrize(
    "kind",
    [
        tasks.leave, tasks.leave_async, tasks.leave_on_loop, tasks.leave_in_thread,
        tasks.LeavesInHook, tasks.LeavesInSyncHook,
    ],
)  # fmt: skip
async def test_however_a_task_leaves_it_has_failed(
    new_driver: NewDriver, tmp_path: Path, kind: Any, how: str
) -> None:
    pids = tmp_path / "pids"
    call = kind(how)
    call = call.call() if isinstance(call, BaseTask) else call
    async with asyncio.timeout(60):
        (dead,) = await work(
            new_driver, call, tasks.tell_pid(pids), process_pool_size=1, concurrency=1
        )
    first = dead.note.split("\n")[0]
    assert "first" in first or how in first or (how, first[:4]) == ("CancelledError", "Task")
    assert len(pids.read_text().split()) == 1


@pytest.mark.parametrize("how", sorted(tasks.EXITS))
async def test_what_leaves_in_a_subtask_runs_beside_no_other(
    new_driver: NewDriver, tmp_path: Path, how: str
) -> None:
    pids = tmp_path / "pids"
    calls = [tasks.leave_in_subtask(how), tasks.tell_pid(pids)]
    (dead,) = await work(new_driver, *calls, process_pool_size=1, concurrency=1)
    first = dead.note.split("\n")[0]
    assert how in first or (how, first[:4]) == ("CancelledError", "Task")
    assert len(pids.read_text().split()) == 1


async def test_the_type_of_an_exception_decides_though_it_cannot_be_pickled(
    new_driver: NewDriver, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    (dead,) = await work(new_driver, tasks.raise_odd(pids))
    assert len(pids.read_text().split()) == 3
    assert dead.note.startswith("Odd: odd")


def test_an_exception_keeps_what_can_be_kept() -> None:
    error = Failure.of(tasks.Odd(503, "odd")).exception()
    assert isinstance(error, tasks.Odd)
    assert (error.code, str(error)) == (503, "odd")
    assert "Odd: odd" in error.__notes__[0]


class _Locked(Exception):
    def __reduce__(self) -> Any:
        raise SystemExit(3)


class _Frozen(Exception):
    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


@pytest.mark.parametrize(
    ("error", "base"),
    [
        (_Locked("a", lambda: None), _Locked),
        (type("Local", (ConnectionError,), {})("gone"), ConnectionError),
        (type("LocalKey", (KeyError,), {})("gone"), KeyError),
        (type("LocalExit", (SystemExit,), {})(3), SystemExit),
        (type("LocalGroup", (ExceptionGroup,), {})("two", [ValueError()]), Exception),
        (ExceptionGroup("one", [_Locked("a", lambda: None)]), Exception),
        (_Frozen("frozen"), _Frozen),
        (OSError(2, "no such file"), FileNotFoundError),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), UnicodeDecodeError),
    ],
)
@pytest.mark.parametrize("imports", [True, False])
def test_an_exception_keeps_its_name_and_bases(
    error: BaseException, base: type[BaseException], imports: bool
) -> None:
    made = Failure.of(error).exception(imports=imports)
    assert isinstance(made, base)
    assert type(made).__name__ == type(error).__name__


def test_a_huge_exception_stays_small() -> None:
    failure = Failure.of(ValueError("x" * 50_000_000))
    assert len(failure.pickled) + len(failure.parts) + len(failure.traceback) < 1_000_000
    assert type(failure.exception()) is ValueError


async def test_programs_can_be_terminated(new_driver: NewDriver, tmp_path: Path) -> None:
    path = tmp_path / "code"
    assert await work(new_driver, tasks.terminate_program(path)) == []
    assert path.read_text() == str(-signal.SIGTERM)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("number", [signal.SIGTERM])
async def test_processes_can_be_terminated(
    new_driver: NewDriver, tmp_path: Path, method: str, number: int
) -> None:
    path = tmp_path / "code"
    assert await work(new_driver, tasks.terminate_process(path, method, int(number))) == []
    assert path.read_text() == str(-number)


async def test_process_tasks_may_have_processes(new_driver: NewDriver, tmp_path: Path) -> None:
    path = tmp_path / "out"
    assert await work(new_driver, tasks.use_processes(path)) == []
    assert path.read_text() == "[1, 2, 3]"


async def test_signals_to_the_group_end_no_process_task(
    new_driver: NewDriver, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    assert await work(new_driver, tasks.survive_signals(path)) == []
    assert path.read_text() == "here"


async def test_a_process_that_does_not_get_ready_is_given_up(
    new_driver: NewDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "START_LIMIT", 1.0)
    (dead,) = await work(
        new_driver, tasks.tell_pid(tmp_path / "out"),
        process_pool_initializer=tasks.never_get_ready,
    )  # fmt: skip
    assert dead.note.startswith("WorkerDied: a new process for tasks was killed: it was not ready")
    assert multiprocessing.active_children() == []


async def test_a_process_that_fails_to_start_is_named(
    new_driver: NewDriver, tmp_path: Path
) -> None:
    (dead,) = await work(
        new_driver, tasks.tell_pid(tmp_path / "out"), process_pool_initializer=tasks.fail_at_start
    )
    assert dead.note.startswith(
        "WorkerDied: a new process for tasks died (exit code 1) before it was ready"
    )


async def test_cancelled_starts_make_no_more_processes_than_allowed(tmp_path: Path) -> None:
    config = Config(driver="memory")
    codec = EnvelopeCodec(MsgpackSerializer())
    envelope = Envelope(tasks.tell_pid.definition.name, (str(tmp_path / "out"),))
    context = TaskContext("1", "tell_pid", 1, 1, "default", "worker", 0.0)
    job = Job(codec.encode(envelope), tasks.tell_pid.definition.origin, context)
    driver = DriverFactory.create_from_config(config)
    pool = ProcessPool(1, None, Setup.of(driver, config, MsgpackSerializer(), configure_client))
    for _ in range(5):
        running = asyncio.create_task(pool.run(job, None, lambda: None))
        await wait_until(lambda: bool(multiprocessing.active_children()))
        running.cancel()
        await asyncio.wait([running])
    await pool.run(job, None, lambda: None)
    assert len(multiprocessing.active_children()) == 1
    await pool.close()
    assert multiprocessing.active_children() == []
    assert len((tmp_path / "out").read_text().split()) == 1


SCRIPT = """
import asyncio, multiprocessing, os, sys, time
from pathlib import Path
from asynctasq import BaseTask, Config, DriverFactory, Worker, init, run, task

HERE = Path(sys.argv[1])
config = init(driver="sqlite", sqlite_path=str(HERE / "queue.db"))

@task(process=True)
def sleep():
    (HERE / "child.new").write_text(str(os.getpid()))
    (HERE / "child.new").rename(HERE / "child")
    time.sleep(60)

@task
def leave_a_copy():
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    (HERE / "copy.new").write_text(str(pid))
    (HERE / "copy.new").rename(HERE / "copy")

async def main():
    if multiprocessing.current_process().name == "MainProcess":
        await sleep().dispatch()
    if "copy" in sys.argv:
        worker = asyncio.create_task(Worker(DriverFactory.create_from_config(config)).start())
        while not (HERE / "child").exists():
            await asyncio.sleep(0.01)
        await leave_a_copy().dispatch()
        await worker
    await Worker(DriverFactory.create_from_config(config), burst=True).start()
"""


def _lives(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
async def test_no_process_outlives_a_worker_whose_copy_lives_on(tmp_path: Path) -> None:
    script = tmp_path / "application.py"
    script.write_text(f'{SCRIPT}\nif __name__ == "__main__":\n    run(main())\n')
    worker = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
        [sys.executable, script, tmp_path, "copy"]
    )
    child, copy = tmp_path / "child", tmp_path / "copy"
    try:
        await wait_until(copy.exists)
    finally:
        worker.kill()
        worker.wait()
    await wait_until(lambda: not _lives(int(child.read_text())))
    os.kill(int(copy.read_text()), signal.SIGKILL)


async def test_a_script_without_a_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "application.py"
    script.write_text(f"{SCRIPT}\nrun(main())\n")
    code = [sys.executable, script, tmp_path]
    environment = {**os.environ, "ASYNCTASQ_DEFAULT_MAX_ATTEMPTS": "1"}
    done = await asyncio.to_thread(
        subprocess.run, code, capture_output=True, text=True, timeout=100, env=environment,
        check=False,
    )  # fmt: skip
    assert 'if __name__ == "__main__"' in done.stderr
    assert not (tmp_path / "child").exists()
