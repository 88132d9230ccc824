"""Batches: what is added is committed, whoever is cancelled."""

import asyncio
from collections.abc import Sequence

import pytest

from asynctasq.core.group_commit import GroupCommit

pytestmark = pytest.mark.anyio


class Log:
    """Takes batches, while it is open."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()
        self.calls = 0

    async def commit(self, items: Sequence[int]) -> None:
        self.calls += 1
        await self.open.wait()
        self.batches.append(list(items))


def runner_of(group: GroupCommit[int]) -> asyncio.Task[None]:
    assert group._runner is not None
    return group._runner


async def test_what_comes_during_a_call_is_the_next_batch() -> None:
    log = Log()
    group = GroupCommit(log.commit, limit=3)
    group.add(0)
    await asyncio.sleep(0)
    for number in range(1, 6):
        group.add(number)
    assert len(group) == 5
    log.open.set()
    await group.flush()
    assert log.batches == [[0], [1, 2, 3], [4, 5]]


@pytest.mark.parametrize("begun", [True, False])
async def test_an_interrupted_batch_is_committed_again(begun: bool) -> None:
    log = Log()
    group = GroupCommit(log.commit, limit=3)
    group.add(1)
    if begun:
        await asyncio.sleep(0)
    runner_of(group).cancel()
    group.add(2)
    log.open.set()
    async with asyncio.timeout(5):
        await group.flush()
    assert [item for batch in log.batches for item in batch] == [1, 2]


async def test_whoever_flushes_may_be_cancelled() -> None:
    log = Log()
    group = GroupCommit(log.commit, limit=3)
    group.add(1)
    flushing = asyncio.create_task(group.flush())
    await asyncio.sleep(0)
    flushing.cancel()
    await asyncio.wait([flushing])
    log.open.set()
    await group.flush()
    assert log.batches == [[1]]
    assert log.calls == 1


async def test_a_stop_drops_what_waits() -> None:
    log = Log()
    group = GroupCommit(log.commit, limit=1)
    group.add(1)
    group.add(2)
    await asyncio.sleep(0)
    await group.stop()
    log.open.set()
    await group.flush()
    assert log.batches == []
    group.add(3)
    await group.flush()
    assert log.batches == [[3]]
