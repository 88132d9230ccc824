"""Room for attempts."""

import asyncio

import pytest

from asynctasq import Delivery
from asynctasq.core.ahead import Ahead
from asynctasq.core.attempt import Attempt
from asynctasq.core.slots import Slots

pytestmark = pytest.mark.anyio


def attempt(number: int, *, begun: bool = True) -> Attempt:
    return Attempt(Delivery(str(number), "q", b"", 1, None), "worker", begun=begun)


def make_slots(size: int, budget: int | None) -> Slots:
    return Slots(size, budget, Ahead(size, most=500, exact=True, give_back=lambda _: None))


async def test_all_who_wait_are_woken() -> None:
    slots = make_slots(1, None)
    one = attempt(1)
    slots.enter(one)
    waiting = [asyncio.create_task(slots.empty()), asyncio.create_task(slots.room())]
    await asyncio.sleep(0)
    slots.leave(one)
    async with asyncio.timeout(5):
        assert (await asyncio.gather(*waiting))[1] == 1


async def test_a_waiter_that_was_cancelled_keeps_nobody_asleep() -> None:
    slots = make_slots(1, None)
    one = attempt(1)
    slots.enter(one)
    waiting = [asyncio.create_task(slots.empty()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    slots.leave(one)
    async with asyncio.timeout(5):
        await asyncio.wait(waiting)
    assert not slots._waiting


async def test_a_budget_is_spent_by_what_ran() -> None:
    slots = make_slots(10, 2)
    ran, garbage = attempt(1), attempt(2, begun=False)
    assert await slots.room() == 2
    slots.enter(ran)
    slots.enter(garbage)
    slots.leave(ran)
    waiting = asyncio.create_task(slots.room())
    await asyncio.sleep(0)
    assert not waiting.done()  # the last may give back its share
    slots.leave(garbage)
    assert await waiting == 1
    last = attempt(3)
    slots.enter(last)
    slots.leave(last)
    assert await slots.room() == 0
    assert slots.done == 2


async def test_a_few_free_slots_wait_a_moment_for_more() -> None:
    slots = make_slots(3, None)
    one, two = attempt(1), attempt(2)
    slots.enter(one)
    slots.enter(two)
    assert await slots.room() == 1
    waiting = asyncio.create_task(slots.room(full=10))
    await asyncio.sleep(0)
    assert not waiting.done()
    slots.leave(one)
    slots.leave(two)
    assert await waiting == 3


async def test_a_few_free_slots_do_not_wait_for_a_long_task() -> None:
    slots = make_slots(3, None)
    slots.enter(attempt(1))
    async with asyncio.timeout(5):
        assert await slots.room(full=10) == 2
