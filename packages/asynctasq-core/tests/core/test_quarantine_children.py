"""The children of the quarantine: their reuse and their end."""

import asyncio
import multiprocessing
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import suspects_for_tests as tasks
from quarantine_for_tests import Open, examine, lines, pids, quarantines, suspect
from worker_for_tests import wait_until

from asynctasq.core.execution import quarantine
from asynctasq.core.execution.quarantine import Kind

pytestmark = pytest.mark.anyio


@pytest.fixture
async def new() -> AsyncIterator[Open]:
    async with quarantines() as new:
        yield new


async def test_a_suspect_that_kills_touches_no_other(new: Open, tmp_path: Path) -> None:
    one, path, go = new(size=2), tmp_path / "out", tmp_path / "go"
    other = asyncio.create_task(examine(one, suspect(tasks.wait_for(path, go))))
    await wait_until(path.exists)
    for _ in range(3):
        assert (await examine(one, suspect(tasks.kill_on_loop())))[0].kind is Kind.KILLED
    go.touch()
    assert (await other)[0].kind is Kind.DONE
    assert len(pids(path)) == 1


async def test_one_at_a_time_in_each_child(new: Open, tmp_path: Path) -> None:
    one, path, go = new(size=1), tmp_path / "out", tmp_path / "go"
    all_of = [asyncio.create_task(examine(one, suspect(tasks.wait_for(path, go)))) for _ in "123"]
    await wait_until(path.exists)
    assert len(multiprocessing.active_children()) == 1
    assert len(pids(path)) == 1
    go.touch()
    assert [verdict.kind for verdict, _ in await asyncio.gather(*all_of)] == [Kind.DONE] * 3
    assert len({*pids(path)}) == 1


@pytest.mark.parametrize("kind", [tasks.wait, tasks.wait_async])
async def test_cancelling_kills_the_child_of_that_suspect(
    new: Open, tmp_path: Path, kind: Any
) -> None:
    one, path = new(), tmp_path / "out"
    running = asyncio.create_task(examine(one, suspect(kind(path))))
    waiting = asyncio.create_task(examine(one, suspect(tasks.fail(tmp_path / "never"))))
    await wait_until(lambda: bool(pids(path)))
    waiting.cancel()
    running.cancel()
    await asyncio.wait([running, waiting])
    assert running.cancelled()
    assert waiting.cancelled()
    with pytest.raises(ProcessLookupError):
        os.kill(pids(path)[0], 0)
    assert (await examine(one, suspect(tasks.on_loop(path))))[0].kind is Kind.DONE
    assert len({*pids(path)}) == 2
    assert not (tmp_path / "never").exists()


async def test_cancelling_while_a_child_starts_leaves_it_to_the_next(
    new: Open, tmp_path: Path
) -> None:
    one, path = new(), tmp_path / "out"
    running = asyncio.create_task(examine(one, suspect(tasks.fail(tmp_path / "never"))))
    await wait_until(lambda: bool(multiprocessing.active_children()))
    running.cancel()
    await asyncio.wait([running])
    (child,) = multiprocessing.active_children()
    assert (await examine(one, suspect(tasks.on_loop(path))))[0].kind is Kind.DONE
    assert pids(path) == [child.pid]


async def test_a_child_is_used_again(new: Open, tmp_path: Path) -> None:
    one, path = new(size=2), tmp_path / "out"
    for call in (tasks.on_loop(path), tasks.fail(path), tasks.in_thread(path)):
        await examine(one, suspect(call))
    assert lines(path) == ["loop", "fails", "thread"]
    assert len({*pids(path)}) == 1


async def test_an_idle_child_is_ended(
    new: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "IDLE_SECONDS", 0.3)
    one, path = new(), tmp_path / "out"
    await examine(one, suspect(tasks.on_loop(path)))
    await wait_until(lambda: not multiprocessing.active_children())
    await examine(one, suspect(tasks.on_loop(path)))
    assert len({*pids(path)}) == 2


async def test_close_ends_all(new: Open, tmp_path: Path) -> None:
    one, path = new(size=2), tmp_path / "out"
    await examine(one, suspect(tasks.on_loop(path)))
    running = asyncio.create_task(examine(one, suspect(tasks.wait(path))))
    await wait_until(lambda: len(pids(path)) == 2)
    before = asyncio.all_tasks()
    await one.close()
    assert multiprocessing.active_children() == []
    await asyncio.wait([running])
    assert "the quarantine was closed" in str(running.exception())
    with pytest.raises(Exception, match="the worker has ended its processes"):
        await examine(one, suspect(tasks.on_loop(path)))
    assert asyncio.all_tasks() - before == set()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
async def test_short_memory_ends_a_child_and_not_its_worker(new: Open, tmp_path: Path) -> None:
    path = tmp_path / "out"
    await examine(new(), suspect(tasks.tell_score(path)))
    assert lines(path) == ["1000"]
    assert _score() != "1000"


def _score() -> str:
    return Path("/proc/self/oom_score_adj").read_text().strip()
