"""The promises of `BaseDriver.dequeue` about the messages it takes."""

import asyncio
import time
from contextlib import suppress

from asynctasq.drivers import BaseDriver, Delivery
from asynctasq.errors import BrokerError
from asynctasq.testing.contract.base import (
    LONG,
    ConnectDriver,
    Contract,
    ids,
    message,
    messages,
)


class DequeueContract(Contract):
    """Messages are leased to one holder at a time, queue by queue, up to the limit."""

    async def test_no_more_than_the_limit_is_taken(self, driver: BaseDriver, queue: str) -> None:
        await driver.enqueue(messages(queue, 5))
        assert len(await driver.dequeue([queue], limit=1, lease=LONG, wait=self.patience)) == 1
        assert 1 <= len(await driver.dequeue([queue], limit=3, lease=LONG, wait=self.patience)) <= 3

    async def test_the_limit_counts_over_all_queues(
        self, driver: BaseDriver, queue: str, other_queue: str
    ) -> None:
        await driver.enqueue([*messages(queue, 3), *messages(other_queue, 3)])
        taken = await driver.dequeue([queue, other_queue], limit=4, lease=LONG, wait=self.patience)
        assert 1 <= len(taken) <= 4

    async def test_a_limit_beyond_the_broker_is_no_error(
        self, driver: BaseDriver, queue: str
    ) -> None:
        await driver.enqueue(messages(queue, 2))
        limit = driver.limits.dequeue_batch * 2
        assert 1 <= len(await driver.dequeue([queue], limit=limit, lease=LONG, wait=0)) <= 2

    async def test_queues_are_served_in_the_order_asked_for(
        self, driver: BaseDriver, queue: str, other_queue: str
    ) -> None:
        await driver.enqueue([*messages(queue, 4), *messages(other_queue, 4)])
        taken = await self.drain(driver, other_queue, queue, count=6)
        assert [one.queue for one in taken] == [other_queue] * 4 + [queue] * 2

    async def test_a_later_queue_is_left_alone_while_an_earlier_one_fills_the_limit(
        self, driver: BaseDriver, queue: str, other_queue: str
    ) -> None:
        await driver.enqueue([*messages(other_queue, 1), *messages(queue, 2)])
        await self.drain(driver, queue, other_queue, count=2)
        (left,) = await self.drain(driver, queue, other_queue, count=1)
        assert (left.queue, left.attempt) == (other_queue, 1)

    async def test_queues_not_asked_for_are_left_alone(
        self, driver: BaseDriver, queue: str, other_queue: str
    ) -> None:
        await driver.enqueue(messages(other_queue, 1))
        await self.nothing_comes(driver, queue, within=0.1)

    async def test_a_held_message_is_given_to_nobody_else(
        self, driver: BaseDriver, other_driver: BaseDriver, queue: str
    ) -> None:
        await self.hold(driver, queue)
        await self.nothing_comes(driver, queue)
        await self.nothing_comes(other_driver, queue, within=0.2)

    async def test_the_attempt_is_counted_at_each_delivery(
        self, driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        await driver.enqueue([message(queue)])
        taken = [await self.take(driver, queue, lease=short_lease) for _ in range(3)]
        assert [one.attempt for one in taken] == [1, 2, 3]

    async def test_a_lease_that_runs_out_gives_the_message_to_another(
        self, driver: BaseDriver, other_driver: BaseDriver, queue: str, short_lease: float
    ) -> None:
        started = time.monotonic()
        (held,) = await self.hold(driver, queue, lease=short_lease)
        again = await self.take(other_driver, queue)
        assert time.monotonic() - started >= short_lease * 0.95
        assert (again.id, again.body, again.attempt) == (held.id, held.body, 2)

    async def test_a_lease_lasts_its_whole_length(self, driver: BaseDriver, queue: str) -> None:
        await self.hold(driver, queue, lease=3.0)
        await self.nothing_comes(driver, queue, within=0.8)

    async def test_an_error_loses_nothing_that_was_taken(
        self, driver: BaseDriver, queue: str, refused_queue: str
    ) -> None:
        await driver.enqueue(messages(queue, 3))
        taken: list[Delivery] = []
        with suppress(BrokerError):
            taken += await driver.dequeue([queue, refused_queue], limit=5, lease=LONG, wait=0)
        taken += await self.drain(driver, queue, count=3 - len(taken))
        assert [one.attempt for one in taken] == [1, 1, 1]

    async def test_a_large_batch_is_dequeued(self, driver: BaseDriver, queue: str) -> None:
        stored = messages(queue, self.large)
        await driver.enqueue(stored)
        taken = await driver.dequeue([queue], limit=self.large, lease=LONG, wait=self.patience)
        assert 1 <= len(taken) <= self.large
        rest = await self.drain(driver, queue, count=self.large - len(taken))
        assert sorted(ids([*taken, *rest])) == sorted(ids(stored))

    async def test_drivers_side_by_side_take_each_message_once(
        self, connect_driver: ConnectDriver, queue: str
    ) -> None:
        drivers = [await connect_driver() for _ in range(8)]
        stored = messages(queue, min(800, self.large))
        await drivers[0].enqueue(stored)
        taken: list[Delivery] = []

        async def consume(driver: BaseDriver) -> None:
            while batch := await driver.dequeue([queue], limit=7, lease=LONG, wait=0.2):
                taken.extend(batch)

        async with asyncio.timeout(self.patience * 3), asyncio.TaskGroup() as consumers:
            for driver in drivers:
                consumers.create_task(consume(driver))
        assert sorted(ids(taken)) == sorted(ids(stored))
        assert {one.attempt for one in taken} == {1}
