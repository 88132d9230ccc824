"""Group commit: every item is committed, whichever task is cancelled."""

import asyncio
import gc
from collections.abc import Sequence
from contextlib import suppress

import pytest

from asynctasq.core.producer import group_commit
from asynctasq.core.producer.group_commit import GroupCommit

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


class Failing(Log):
    """Raises errors, one after the other, before it takes a batch."""

    def __init__(self, *errors: BaseException) -> None:
        super().__init__()
        self.errors = list(errors)
        self.open.set()

    async def commit(self, items: Sequence[int]) -> None:
        await asyncio.sleep(0)
        if self.errors:
            raise self.errors.pop(0)
        await super().commit(items)


@pytest.mark.parametrize("error", [AttributeError("a bug"), asyncio.CancelledError("its own")])
async def test_a_commit_that_raises_keeps_its_batch(
    caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    log = Failing(error, OSError("another"))
    group = GroupCommit(log.commit, limit=2)
    for number in range(3):
        group.add(number)
    async with asyncio.timeout(10):
        await group.flush()
    assert log.batches == [[0, 1], [2]]
    (logged,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert logged.exc_info
    assert logged.exc_info[1] is error
    group.add(3)
    await group.flush()
    assert log.batches[-1] == [3]


def test_a_commit_that_ends_the_program_keeps_its_batch() -> None:
    """KeyboardInterrupt comes wherever the program is; what cleans up after it still commits."""
    log = Failing(KeyboardInterrupt())

    async def main() -> None:
        group = GroupCommit(log.commit, limit=2)
        group.add(1)
        try:
            await asyncio.sleep(60)
        finally:
            await group.flush()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    gc.collect()  # asyncio complains of the interrupted task here, and not in another test
    assert log.batches == [[1]]


async def test_a_stop_returns_what_it_drops() -> None:
    log = Log()
    group = GroupCommit(log.commit, limit=2)
    for number in range(5):
        group.add(number)
    assert await group.stop() == [0, 1, 2, 3, 4]  # before the first step
    for number in range(5):
        group.add(number)
    await asyncio.sleep(0)
    assert await group.stop() == [0, 1, 2, 3, 4]
    log.open.set()
    group.add(5)
    await group.flush()
    assert log.batches == [[5]]


async def test_a_call_that_ignores_its_cancellation_holds_up_no_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(group_commit, "CANCEL_LIMIT", 0.05)
    gate, committed = asyncio.Event(), list[int]()

    async def commit(items: Sequence[int]) -> None:
        while not gate.is_set():
            with suppress(asyncio.CancelledError):
                await gate.wait()
        committed.extend(items)

    group = GroupCommit(commit, limit=1)
    group.add(1)
    group.add(2)
    await asyncio.sleep(0)
    assert await group.stop() == [1, 2]
    group.add(3)  # one call at a time, still
    gate.set()
    await group.flush()
    assert committed == [1, 3]
