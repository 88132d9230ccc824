"""What becomes of messages whose workers died at every allowed attempt."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from worker_for_tests import NewDriver, look, until_settled, wait_until

from asynctasq import Outcome, Settlement, TaskCall, Worker, dispatch_many, task
from asynctasq.core import seclusion
from asynctasq.drivers import State

pytestmark = pytest.mark.anyio


class Room:
    """Who is in, and whom each has met."""

    def __init__(self) -> None:
        self.inside: set[str] = set()
        self.met: dict[str, set[str]] = {}
        self.go = asyncio.Event()

    async def visit(self, name: str, *, waits: bool) -> None:
        self.met[name] = set(self.inside)
        for other in self.inside:
            self.met[other].add(name)
        self.inside.add(name)
        try:
            await (self.go.wait() if waits else asyncio.sleep(0.05))
        finally:
            self.inside.remove(name)


room: Room


@pytest.fixture(autouse=True)
def _room() -> None:
    global room
    room = Room()


@task(name="seclusion_for_tests:visit", max_attempts=2)
async def visit(name: str, *, waits: bool = False) -> None:
    await room.visit(name, waits=waits)


async def suspect(
    new_driver: NewDriver, *calls: TaskCall[Any], attempts: int = 2, delay: float = 0.0
) -> None:
    """Store calls that have used up so many attempts, and are due after a delay."""
    await dispatch_many(calls)
    driver = new_driver()
    await driver.connect()
    for left in reversed(range(attempts)):
        held = await driver.dequeue(["default"], limit=100, lease=30, wait=5)
        pause = 0.0 if left else delay
        await driver.settle([Settlement(one, Outcome.RETRY, pause) for one in held])
    await driver.disconnect()


async def test_they_run_once_more_one_after_the_other(new_driver: NewDriver) -> None:
    await suspect(new_driver, visit("one"), visit("two"), visit("three"))
    await dispatch_many([visit(f"normal {number}") for number in range(20)])
    await Worker(new_driver(), burst=True).start()
    assert len(room.met) == 23
    assert [room.met[name] for name in ("one", "two", "three")] == [set(), set(), set()]
    assert await look(new_driver) == []


async def test_their_outcome_counts(new_driver: NewDriver) -> None:
    @task(name="seclusion_for_tests:fail", max_attempts=2)
    async def fail() -> None:
        raise ValueError("by itself")

    await suspect(new_driver, fail())
    await Worker(new_driver(), burst=True).start()
    (dead,) = await look(new_driver)
    assert dead.note.startswith("ValueError: by itself")


async def test_what_killed_its_worker_alone_is_dead(new_driver: NewDriver) -> None:
    await suspect(new_driver, visit("poison"), attempts=3)
    await Worker(new_driver(), burst=True).start()
    (dead,) = await look(new_driver)
    assert dead.note.startswith("WorkerDied: delivered 4 times")
    assert room.met == {}


async def test_it_has_more_chances_where_deliveries_count_that_nothing_began_with(
    new_driver: NewDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind: Any = type(new_driver())
    monkeypatch.setattr(kind, "limits", replace(kind.limits, exact_attempts=False))
    await suspect(new_driver, visit("neighbour"), attempts=1 + seclusion.CHANCES_IF_INEXACT)
    await Worker(new_driver(), burst=True).start()
    await suspect(new_driver, visit("poison"), attempts=2 + seclusion.CHANCES_IF_INEXACT)
    await Worker(new_driver(), burst=True).start()
    (dead,) = await look(new_driver)
    assert dead.note.startswith("WorkerDied: delivered 7 times")
    assert room.met == {"neighbour": set()}


async def test_what_is_allowed_one_attempt_has_one(new_driver: NewDriver) -> None:
    await suspect(new_driver, visit("once").max_attempts(1), attempts=1)
    await Worker(new_driver(), burst=True).start()
    (dead,) = await look(new_driver)
    assert dead.note.startswith("WorkerDied: delivered 2 times")
    assert room.met == {}


async def test_it_is_dead_where_it_never_gets_to_be_alone(
    new_driver: NewDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seclusion, "PATIENCE", 0.1)
    await suspect(new_driver, visit("one"), delay=0.5)
    await dispatch_many([visit("endless", waits=True)])
    worker = Worker(new_driver())
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: "endless" in room.met)
    async with asyncio.timeout(20):
        while not await look(new_driver):
            await asyncio.sleep(0.01)
    await dispatch_many([visit("next")])
    await wait_until(lambda: "next" in room.met)
    room.go.set()
    await worker.stop()
    await running
    assert "one" not in room.met


async def test_the_others_come_back_when_it_takes_long(
    new_driver: NewDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seclusion, "LONG_ENOUGH", 0.1)
    await suspect(new_driver, visit("innocent", waits=True))
    worker = Worker(new_driver())
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: "innocent" in room.inside)
    await dispatch_many([visit("other")])
    await wait_until(lambda: "other" in room.met)
    assert "innocent" in room.inside
    room.go.set()
    await until_settled(new_driver)
    await worker.stop()
    await running


async def test_while_it_is_alone_the_worker_takes_nothing(new_driver: NewDriver) -> None:
    await suspect(new_driver, visit("alone", waits=True))
    worker = Worker(new_driver())
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: "alone" in room.inside)
    await dispatch_many([visit(f"waiting {number}") for number in range(30)])
    driver: Any = new_driver()
    await driver.connect()

    (stats,) = await driver.counts(["default"])  # the fetch that was under way has ended
    assert (stats.ready, stats.running) == (30, 1)
    assert {one.attempt for one in await look(new_driver, State.READY)} == {0}
    await driver.disconnect()
    room.go.set()
    await until_settled(new_driver)
    await worker.stop()
    await running
    assert room.met["alone"] == set()
