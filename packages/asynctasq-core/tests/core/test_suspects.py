"""A worker with abandoned messages, and that others do not wait for them."""

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import suspects_for_tests as tasks
from quarantine_for_tests import examine, lines, pids, quarantines, suspect
from worker_for_tests import NewDriver, Wrapped, look, wait_until

from asynctasq import MsgpackSerializer, Worker, dispatch_many
from asynctasq.core.execution import children, quarantine
from asynctasq.core.execution.quarantine import Quarantine, Suspect, Verdict
from asynctasq.core.worker import suspect_pace as pace
from asynctasq.core.worker import suspects
from asynctasq.core.worker.suspect_pace import Pace
from asynctasq.drivers import BaseDriver, Delivery, Message, Outcome, State
from asynctasq.errors import WorkerDied
from asynctasq.serialization import Envelope, EnvelopeCodec

pytestmark = pytest.mark.anyio


class Untold(Wrapped):
    """A driver that cannot tell what was abandoned, and counts each delivery as the 21st."""

    @property
    def limits(self) -> Any:
        return replace(self._driver.limits, tells_abandoned=False)

    async def dequeue(self, queues: Sequence[str], **options: Any) -> Sequence[Delivery]:
        taken = await super().dequeue(queues, **options)
        return [replace(one, attempt=suspects.CEILING + 1) for one in taken]


async def abandon(new_driver: NewDriver, *calls: Any) -> None:
    """Dispatch calls, and let the lease of each run out once."""
    await dispatch_many(calls)
    driver: Any = new_driver()
    await driver.connect()
    taken: list[Delivery] = []
    while len(taken) < len(calls):
        taken += await driver.dequeue(["default"], limit=len(calls), lease=0.05, wait=5)
    async with asyncio.timeout(20):
        while (await driver.counts(["default"]))[0].ready < len(calls):
            await asyncio.sleep(0.01)
    await driver.disconnect()


async def burst(driver: BaseDriver, **options: Any) -> None:
    async with asyncio.timeout(60):
        await Worker(driver, burst=True, **options).start()


def outcomes(driver: Wrapped) -> Counter[Outcome]:
    return Counter(one.outcome for one in driver.settled)


async def test_a_last_attempt_ends_its_child_and_not_its_worker(
    new_driver: NewDriver, tmp_path: Path
) -> None:
    kinds = (tasks.kill_on_loop, tasks.kill_in_thread, tasks.kill_in_process)
    await abandon(new_driver, tasks.on_loop(tmp_path / "out"), *(kind() for kind in kinds))
    await burst(new_driver())
    assert lines(tmp_path / "out") == ["loop"]
    dead = await look(new_driver)
    assert [one.attempt for one in dead] == [2, 2, 2]
    assert all("the process that ran the task died (exit code -9)" in one.note for one in dead)


async def test_where_no_child_starts_the_attempt_is_kept(
    new_driver: NewDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suspects, "LATER", 0.01)
    really, errors = Quarantine.examine, [WorkerDied("no memory")] * 3

    async def first_fail(one: Quarantine, what: Suspect, started: Any) -> Verdict:
        if errors:
            raise errors.pop()
        return await really(one, what, started)

    monkeypatch.setattr(Quarantine, "examine", first_fail)
    await abandon(new_driver, tasks.on_loop(tmp_path / "out"))
    driver: Any = Wrapped(new_driver())
    await burst(driver)
    assert lines(tmp_path / "out") == ["loop"]
    assert outcomes(driver) == {Outcome.RELEASE: 3, Outcome.DONE: 1}
    assert {one.delivery.attempt for one in driver.settled} == {2}


async def test_what_a_worker_does_not_hold_keeps_its_attempt(
    new_driver: NewDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "FIRST", 2)
    monkeypatch.setattr(pace, "LATER", 0.05)
    await abandon(new_driver, *(tasks.on_loop(tmp_path / "out") for _ in range(12)))
    driver: Any = Wrapped(new_driver())
    await burst(driver)
    assert lines(tmp_path / "out") == ["loop"] * 12
    assert outcomes(driver)[Outcome.RELEASE] >= 10
    assert {one.delivery.attempt for one in driver.settled} == {2}


async def test_at_shutdown_suspects_are_released_with_their_attempts(
    new_driver: NewDriver, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    await abandon(new_driver, *(tasks.wait_async(path) for _ in range(6)))
    worker = Worker(new_driver(), shutdown_timeout=0.1)
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: len(pids(path)) >= 2)
    await worker.stop()
    await running
    assert [one.attempt for one in await look(new_driver, State.READY)] == [1] * 6
    assert await look(new_driver) == []


@pytest.mark.flakiest
async def test_one_that_goes_on_holds_up_no_other(
    new_driver: NewDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    path, go = tmp_path / "out", tmp_path / "go"
    calls = [tasks.wait_for(path, go), *(tasks.on_loop(path) for _ in range(5))]
    await abandon(new_driver, *calls)
    running = asyncio.create_task(burst(new_driver()))
    await wait_until(lambda: sorted(lines(path)) == ["loop"] * 5 + ["waits"])
    go.touch()
    await running
    assert await look(new_driver) == []


@pytest.mark.parametrize("kind", ["reads", "runs"])
async def test_beyond_the_ceiling_a_child_reads_what_may_have_been_abandoned(
    new_driver: NewDriver, kind: str
) -> None:
    serializer = MsgpackSerializer(tasks.BOMB)
    call = tasks.take(tasks.Bomb()) if kind == "reads" else tasks.kill_on_loop()
    body = EnvelopeCodec(serializer).encode(Envelope(call.definition.name, call.args, call.kwargs))
    driver: Any = Untold(new_driver())
    await driver.connect()
    await driver.enqueue([Message("id", "default", body)])
    await burst(driver, serializer=serializer)
    (dead,) = await look(new_driver)
    reason = "that read the message died (exit code -6)" if kind == "reads" else "delivered 21"
    assert reason in dead.note


@pytest.mark.flakiest
async def test_children_that_start_often_leave_the_processor_to_the_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "OFTEN", 1)
    path = tmp_path / "out"
    async with quarantines() as new:
        one = new()
        for _ in range(2):
            await examine(one, suspect(tasks.tell_niceness(path)))
            await examine(one, suspect(tasks.kill_on_loop()))
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert lines(path) == [str(own), str(min(19, own + quarantine.NICE))]


class Clock:
    """The time, by which a pace is measured."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(pace.time, "monotonic", lambda: self.now)

    def verdicts(self, one: Pace, count: int, seconds: float) -> None:
        taken = self.now
        for _ in range(count):
            self.now += seconds
            one.ended(taken)


@pytest.mark.parametrize(
    ("seconds", "most"), [(0.0001, pace.MOST), (0.02, 50), (0.1, 10), (2.0, 4), (600.0, 4)]
)
def test_a_worker_holds_what_its_children_do_in_a_second(
    monkeypatch: pytest.MonkeyPatch, seconds: float, most: int
) -> None:
    clock, one = Clock(monkeypatch), Pace(2)
    assert one.most() == pace.FIRST
    clock.verdicts(one, 50, seconds)
    assert abs(one.most() - most) <= 1


def test_each_that_is_released_has_a_turn_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, one = Clock(monkeypatch), Pace(2)
    assert one.later() == pace.LATER
    clock.verdicts(one, 50, 0.25)
    delays = [one.later() for _ in range(1000)]
    assert delays[:4] == pytest.approx([0.75, 1.0, 1.25, 1.5])
    assert delays[-1] == pace.MOST_LATER
    clock.now += 100
    assert one.later() == pytest.approx(0.75)


def test_quick_suspects_after_slow_ones_raise_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, one = Clock(monkeypatch), Pace(2)
    clock.verdicts(one, 20, 5.0)
    clock.verdicts(one, 80, 0.001)
    assert one.most() == pace.MOST


def test_what_waited_for_the_first_child_to_start_is_soon_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, one = Clock(monkeypatch), Pace(2)
    clock.verdicts(one, 1, 3.0)
    behind = [one.later() for _ in range(50)]
    assert behind[-1] == pace.MOST_LATER
    clock.verdicts(one, pace.FIRST, 0.001)
    assert one.most() >= 50
    assert one.later() < 2.0  # also behind those that were released at the old pace
