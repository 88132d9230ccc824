"""The promises of `BaseDriver.connect`, `disconnect` and `sibling`, and of cancelled calls."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence

import pytest

from asynctasq.drivers import BaseDriver, Delivery, Outcome
from asynctasq.errors import BrokerUnavailable
from asynctasq.testing.contract.base import (
    LONG,
    Contract,
    NewDriver,
    message,
    messages,
    settlements,
)

Call = Callable[[BaseDriver, str, Sequence[Delivery]], Awaitable[object]]
CALLS: dict[str, Call] = {
    "enqueue": lambda driver, queue, held: driver.enqueue(messages(queue, 3)),
    "dequeue": lambda driver, queue, held: driver.dequeue([queue], limit=3, lease=LONG, wait=5),
    "settle": lambda driver, queue, held: driver.settle(settlements(held, Outcome.DONE)),
    "extend": lambda driver, queue, held: driver.extend(held, lease=LONG),
}


class ConnectionContract(Contract):
    """Drivers reconnect, survive cancelled calls, and leave no task or thread behind."""

    async def test_connecting_twice_connects_once(self, new_driver: NewDriver, queue: str) -> None:
        driver = new_driver()
        await driver.connect()
        await driver.connect()
        await self.assert_usable(driver, queue)
        await driver.disconnect()

    async def test_disconnecting_twice_is_no_error(self, new_driver: NewDriver) -> None:
        driver = new_driver()
        await driver.disconnect()
        await driver.connect()
        await driver.disconnect()
        await driver.disconnect()

    async def test_it_connects_again_after_a_disconnect(
        self, new_driver: NewDriver, queue: str
    ) -> None:
        driver = new_driver()
        for _ in range(2):
            await driver.connect()
            await self.assert_usable(driver, queue)
            await driver.disconnect()

    async def test_disconnecting_settles_nothing(
        self, new_driver: NewDriver, other_driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        driver = new_driver()
        await driver.connect()
        started = time.monotonic()
        (held,) = await self.hold(driver, queue, lease=short_lease)
        await driver.disconnect()
        again = await self.take(other_driver, queue)
        if driver.limits.leases_outlive_connections:
            assert time.monotonic() - started >= short_lease * 0.95
        assert (again.id, again.attempt) == (held.id, 2)

    async def test_messages_outlive_the_driver_that_stored_them(
        self, new_driver: NewDriver, queue: str
    ) -> None:
        first, second = new_driver(), new_driver()
        await first.connect()
        await first.enqueue([message(queue)])
        await first.disconnect()
        await second.connect()
        await self.take(second, queue)
        await second.disconnect()

    async def test_a_disconnect_ends_every_task_and_thread(
        self, new_driver: NewDriver, queue: str
    ) -> None:
        tasks, threads = asyncio.all_tasks(), _threads()
        driver = new_driver()
        await driver.connect()
        await driver.enqueue([message(queue, delay=60)])
        await self.nothing_comes(driver, queue, within=0.05)
        await self.assert_usable(driver, queue)
        await driver.disconnect()
        assert asyncio.all_tasks() - tasks == set()
        assert _threads() - threads == set()

    async def test_a_disconnect_ends_a_waiting_dequeue(
        self, new_driver: NewDriver, queue: str
    ) -> None:
        driver = new_driver()
        await driver.connect()
        waiting = asyncio.create_task(_dequeue_until_cut_off(driver, queue, self.patience))
        await asyncio.sleep(0.05)
        started = time.monotonic()
        await driver.disconnect()
        assert list(await waiting) == []
        assert self.prompt(started)

    async def test_many_calls_at_once_do_not_mix(self, driver: BaseDriver, queue: str) -> None:
        async def live(number: int) -> None:
            name = f"{queue}-{number}"
            (held,) = await self.hold(driver, name)
            assert held.queue == name
            assert list(await driver.extend([held], lease=LONG)) == []
            assert list(await driver.settle(settlements([held], Outcome.DONE))) == []

        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(live(number))

    @pytest.mark.parametrize("call", CALLS)
    async def test_a_cancelled_call_leaves_the_driver_usable(
        self, driver: BaseDriver, queue: str, other_queue: str, call: str
    ) -> None:
        held = await self.hold(driver, queue, count=2)
        for moment in (0, 0, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01):
            task = asyncio.ensure_future(CALLS[call](driver, queue, held))
            await asyncio.sleep(moment)
            task.cancel()
            await asyncio.wait([task])
            await self.assert_usable(driver, other_queue)

    async def test_a_cancelled_connect_leaves_the_driver_usable(
        self, new_driver: NewDriver, queue: str
    ) -> None:
        for moment in (0, 0.0005, 0.002):
            driver = new_driver()
            task = asyncio.ensure_future(driver.connect())
            await asyncio.sleep(moment)
            task.cancel()
            await asyncio.wait([task])
            await driver.connect()
            await self.assert_usable(driver, queue)
            await driver.disconnect()

    async def test_a_sibling_works_on_another_threads_loop(
        self, driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        held = await self.hold(driver, queue, lease=short_lease)
        sibling = driver.sibling()
        assert await asyncio.to_thread(_extend_elsewhere, sibling, held) == []
        await self.nothing_comes(driver, queue, within=short_lease * 1.5)
        assert list(await driver.settle(settlements(held, Outcome.DONE))) == []

    async def test_a_message_from_another_thread_wakes_a_waiting_dequeue(
        self, driver: BaseDriver, queue: str
    ) -> None:
        waiting = asyncio.ensure_future(
            driver.dequeue([queue], limit=1, lease=LONG, wait=self.patience)
        )
        await asyncio.sleep(0.05)
        started = time.monotonic()
        await asyncio.to_thread(_enqueue_elsewhere, driver.sibling(), queue)
        assert len(await waiting) == 1
        assert self.prompt(started)

    async def assert_usable(self, driver: BaseDriver, queue: str) -> None:
        """Fail unless a message can be stored, taken, extended and settled."""
        async with asyncio.timeout(self.patience):
            await driver.enqueue([sent := message(queue)])
            (taken,) = await self.drain(driver, queue)
            assert taken.id == sent.id
            assert list(await driver.extend([taken], lease=LONG)) == []
            assert list(await driver.settle(settlements([taken], Outcome.DONE))) == []


def _threads() -> set[threading.Thread]:
    # a name lookup may add a thread to the loop's own pool, which ends with the loop
    return {one for one in threading.enumerate() if not one.name.startswith("asyncio_")}


async def _dequeue_until_cut_off(driver: BaseDriver, queue: str, wait: float) -> Sequence[Delivery]:
    try:
        return await driver.dequeue([queue], limit=1, lease=LONG, wait=wait)
    except BrokerUnavailable:
        return []


def _extend_elsewhere(driver: BaseDriver, held: Sequence[Delivery]) -> Sequence[Delivery]:
    async def extend() -> Sequence[Delivery]:
        await driver.connect()
        try:
            return list(await driver.extend(held, lease=LONG))
        finally:
            await driver.disconnect()

    return asyncio.run(extend())


def _enqueue_elsewhere(driver: BaseDriver, queue: str) -> None:
    async def enqueue() -> None:
        await driver.connect()
        try:
            await driver.enqueue([message(queue)])
        finally:
            await driver.disconnect()

    asyncio.run(enqueue())
