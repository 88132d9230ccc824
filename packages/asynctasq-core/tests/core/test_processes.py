"""Tasks in processes."""

from pathlib import Path

import pytest
import tasks_for_tests as tasks
from worker_for_tests import NewDriver, work

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
    from asynctasq import DriverFactory, init

    config = init(driver="sqlite", sqlite_path=str(tmp_path / "queue.db"))
    await work(
        lambda: DriverFactory.create_from_config(config), tasks.dispatch_from_process("child")
    )
    assert ran == ["child"]
