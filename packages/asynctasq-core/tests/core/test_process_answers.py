"""Answers of child processes, when tasks fork or close their descriptors."""

import asyncio
import multiprocessing
import os
from pathlib import Path

import children_for_tests as tasks
import pytest
from worker_for_tests import NewDriver, look, until_settled, wait_until, work

from asynctasq import Worker

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks"),
]


@pytest.mark.parametrize("kind", [tasks.fork, tasks.fork_async])
@pytest.mark.parametrize("how", ["os", "foreign"])
@pytest.mark.parametrize(("leave", "code"), [("return", 0), ("exit", 3), ("raise", 1)])
async def test_a_forked_copy_answers_for_nobody(
    new_driver: NewDriver, tmp_path: Path, kind: object, how: str, leave: str, code: int
) -> None:
    go, gone, pids = tmp_path / "go", tmp_path / "gone", tmp_path / "pids"
    worker = Worker(new_driver(), process_pool_size=1)
    running = asyncio.create_task(worker.start())
    await kind(go, gone, how, leave).dispatch()  # type: ignore[operator]
    await until_settled(new_driver)
    go.touch()
    await wait_until(gone.exists)
    for number in range(3):
        await tasks.fail(str(number)).dispatch()
        await tasks.tell_pid(pids).dispatch()
    await until_settled(new_driver)
    await worker.stop()
    await running
    dead = await look(new_driver)
    assert sorted(one.note.split("\n")[0] for one in dead) == [
        f"ValueError: {number}" for number in range(3)
    ]
    lines = pids.read_text().split()
    assert (len(lines), len({*lines})) == (3, 1)
    assert gone.read_text() == str(code)


async def test_a_death_is_seen_though_a_copy_lives_on(
    new_driver: NewDriver, tmp_path: Path
) -> None:
    end = tmp_path / "end"
    try:
        (dead,) = await work(new_driver, tasks.die_with_heir(end), process_pool_size=1)
    finally:
        end.touch()
    assert dead.note.startswith("WorkerDied: the process that ran the task died (exit code 7)")


@pytest.mark.parametrize(
    "data",
    [
        b"x", b"\0", b"\0\1", b"\0\0\0", b"\x7f\xff\xff\xff", b"garbage\n" * 3, b"\0" * 24,
        b"\0" * 27, b"\xff" * 24, b"\xff" * 27, b"\x80\x05N." * 20, b"y" * 5000,
    ],
)  # fmt: skip
async def test_what_is_written_to_all_descriptors_costs_one_process(
    new_driver: NewDriver, tmp_path: Path, data: bytes
) -> None:
    pids = tmp_path / "pids"
    dead = await work(
        new_driver,
        tasks.tell_pid(pids),
        tasks.write_garbage(data),
        tasks.tell_pid(pids),
        tasks.fail("itself"),
        process_pool_size=1,
        concurrency=1,
    )
    garbage, failed = sorted((one.note.split("\n")[0] for one in dead), reverse=True)
    assert garbage.startswith("WorkerDied: the process that ran the task was killed: it sent")
    assert failed == "ValueError: itself"
    lines = pids.read_text().split()
    assert (len(lines), len({*lines})) == (2, 2)
    assert multiprocessing.active_children() == []


async def test_what_is_written_after_a_task_costs_no_other(
    new_driver: NewDriver, tmp_path: Path
) -> None:
    go, written, pids = tmp_path / "go", tmp_path / "written", tmp_path / "pids"
    worker = Worker(new_driver(), process_pool_size=1)
    running = asyncio.create_task(worker.start())
    await tasks.write_garbage_later(go, written).dispatch()
    await until_settled(new_driver)
    go.touch()
    await wait_until(written.exists)
    await tasks.tell_pid(pids).dispatch()
    await until_settled(new_driver)
    await worker.stop()
    await running
    assert await look(new_driver) == []
    assert len(pids.read_text().split()) == 1


@pytest.mark.parametrize("then", ["return", "reopen", "sleep"])
async def test_what_closes_its_descriptors_costs_itself(
    new_driver: NewDriver, tmp_path: Path, then: str
) -> None:
    path, pids = tmp_path / "theirs", tmp_path / "pids"
    (dead,) = await work(
        new_driver,
        tasks.close_descriptors(path, then),
        tasks.tell_pid(pids),
        process_pool_size=1,
        concurrency=1,
    )
    assert dead.note.startswith("WorkerDied: the process that ran the task ")
    assert len(pids.read_text().split()) == 1
    assert not path.exists() or path.read_bytes() == b""
