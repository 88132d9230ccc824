"""The promises of `BaseDriver.dequeue` about waiting."""

import asyncio
import random
import time
from collections.abc import Sequence

import pytest

from asynctasq.drivers import BaseDriver, Delivery, Message, Outcome
from asynctasq.testing.contract.base import (
    LONG,
    ConnectDriver,
    Contract,
    ids,
    message,
    messages,
    settlements,
)


class WaitContract(Contract):
    """A waiting dequeue ends when there is a message, and loses none when it is cancelled."""

    async def test_without_a_wait_it_never_blocks(self, driver: BaseDriver, queue: str) -> None:
        started = time.monotonic()
        async with asyncio.timeout(self.patience):
            await self.nothing_comes(driver, queue, within=0)
        assert self.prompt(started)

    async def test_without_a_wait_it_takes_what_is_there(
        self, driver: BaseDriver, queue: str
    ) -> None:
        await driver.enqueue([message(queue)])
        assert len(await driver.dequeue([queue], limit=1, lease=LONG, wait=0)) == 1

    async def test_it_is_empty_after_the_wait(self, driver: BaseDriver, queue: str) -> None:
        started = time.monotonic()
        async with asyncio.timeout(self.patience):
            await self.nothing_comes(driver, queue, within=0.25)
        assert time.monotonic() - started >= 0.24

    async def test_it_does_not_wait_for_the_limit_to_be_filled(
        self, driver: BaseDriver, queue: str
    ) -> None:
        await driver.enqueue([message(queue)])
        started = time.monotonic()
        await driver.dequeue([queue], limit=10, lease=LONG, wait=self.patience)
        assert self.prompt(started)

    async def test_it_wakes_for_a_new_message(
        self, driver: BaseDriver, other_driver: BaseDriver, queue: str
    ) -> None:
        async with asyncio.TaskGroup() as group:
            waiting = await self.start_waiting(group, driver, queue)
            started = time.monotonic()
            await other_driver.enqueue([message(queue)])
            assert len(await waiting) == 1
        assert self.prompt(started)

    async def test_it_wakes_for_a_message_on_any_of_its_queues(
        self, driver: BaseDriver, other_driver: BaseDriver, queue: str, other_queue: str
    ) -> None:
        async with asyncio.TaskGroup() as group:
            waiting = await self.start_waiting(group, driver, queue, other_queue)
            started = time.monotonic()
            await other_driver.enqueue([message(other_queue)])
            assert [one.queue for one in await waiting] == [other_queue]
        assert self.prompt(started)

    async def test_it_wakes_for_a_message_that_becomes_due(
        self, driver: BaseDriver, queue: str
    ) -> None:
        started = time.monotonic()
        await driver.enqueue([message(queue, delay=0.3)])
        await driver.dequeue([queue], limit=1, lease=LONG, wait=self.patience)
        assert self.prompt(started + 0.3)

    async def test_it_wakes_for_a_delayed_message_that_came_while_it_waited(
        self, driver: BaseDriver, other_driver: BaseDriver, queue: str
    ) -> None:
        await driver.enqueue([message(queue, delay=60)])
        async with asyncio.TaskGroup() as group:
            waiting = await self.start_waiting(group, driver, queue)
            started = time.monotonic()
            await other_driver.enqueue([message(queue, delay=0.2)])
            assert len(await waiting) == 1
        assert self.prompt(started + 0.2)

    async def test_it_wakes_for_a_lease_that_ran_out(
        self, driver: BaseDriver, other_driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        started = time.monotonic()
        await self.hold(other_driver, queue, lease=short_lease)
        taken = await driver.dequeue([queue], limit=1, lease=LONG, wait=self.patience)
        assert len(taken) == 1
        assert self.prompt(started + short_lease)

    @pytest.mark.parametrize("outcome", [Outcome.RETRY, Outcome.RELEASE])
    @pytest.mark.parametrize("delay", [0.0, 0.2])
    async def test_it_wakes_for_a_message_that_is_given_back(
        self,
        driver: BaseDriver,
        other_driver: BaseDriver,
        queue: str,
        outcome: Outcome,
        delay: float,
    ) -> None:
        held = await self.hold(other_driver, queue)
        async with asyncio.TaskGroup() as group:
            waiting = await self.start_waiting(group, driver, queue)
            started = time.monotonic()
            await other_driver.settle(settlements(held, outcome, delay=delay))
            assert ids(await waiting) == ids(held)
        assert self.prompt(started + delay)

    async def test_every_one_of_many_waiters_gets_one_message(
        self, connect_driver: ConnectDriver, queue: str
    ) -> None:
        drivers = [await connect_driver() for _ in range(4)]
        stored = messages(queue, 12)
        async with asyncio.TaskGroup() as group:
            waiting = [await self.start_waiting(group, driver, queue) for driver in drivers * 3]
            started = time.monotonic()
            await drivers[0].enqueue(stored)
            taken = [one for waiter in waiting for one in await waiter]
        assert sorted(ids(taken)) == sorted(ids(stored))
        assert self.prompt(started)

    async def test_waiting_keeps_no_other_call_waiting(
        self, driver: BaseDriver, queue: str, other_queue: str
    ) -> None:
        async with asyncio.TaskGroup() as group:
            waiting = [await self.start_waiting(group, driver, queue) for _ in range(20)]
            async with asyncio.timeout(self.patience / 3):
                held = await self.hold(driver, other_queue, count=3)
                await driver.extend(held, lease=LONG)
                await driver.settle(settlements(held, Outcome.DONE))
            assert not any(waiter.done() for waiter in waiting)
            for waiter in waiting:
                waiter.cancel()

    async def test_cancelled_while_it_waits_it_loses_nothing(
        self, driver: BaseDriver, queue: str
    ) -> None:
        async with asyncio.TaskGroup() as group:
            waiting = await self.start_waiting(group, driver, queue)
            waiting.cancel()
        await driver.enqueue([message(queue)])
        assert (await self.take(driver, queue)).attempt == 1

    async def test_cancelled_at_any_instant_it_loses_nothing(
        self, driver: BaseDriver, other_driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        stored = messages(queue, 60)
        missing = set(ids(stored))
        async with asyncio.TaskGroup() as group:
            producing = group.create_task(_trickle(other_driver, stored))
            while not producing.done():
                missing -= await _take_or_cancel(driver, queue, short_lease)
        deadline = time.monotonic() + self.patience
        while missing and time.monotonic() < deadline:
            taken = await driver.dequeue([queue], limit=100, lease=LONG, wait=0.2)
            missing -= set(ids(taken))
        assert missing == set()

    async def start_waiting(
        self, group: asyncio.TaskGroup, driver: BaseDriver, *queues: str
    ) -> asyncio.Task[Sequence[Delivery]]:
        """Start a dequeue, and let it begin to wait."""
        dequeue = driver.dequeue(queues, limit=1, lease=LONG, wait=self.patience)
        task = group.create_task(dequeue)
        await asyncio.sleep(0.03)
        assert not task.done()
        return task


async def _trickle(driver: BaseDriver, stored: Sequence[Message]) -> None:
    for one in stored:
        await driver.enqueue([one])
        await asyncio.sleep(0.003)


async def _take_or_cancel(driver: BaseDriver, queue: str, lease: float) -> set[str]:
    """Take and settle messages, or cancel the dequeue at some instant."""
    dequeue = asyncio.ensure_future(driver.dequeue([queue], limit=3, lease=lease, wait=1))
    await asyncio.wait([dequeue], timeout=random.uniform(0, 0.006))
    dequeue.cancel()
    try:
        taken = await dequeue
    except asyncio.CancelledError:
        return set()
    await driver.settle(settlements(taken, Outcome.DONE))
    return set(ids(taken))
