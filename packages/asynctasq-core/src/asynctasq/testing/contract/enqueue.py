"""The promises of `BaseDriver.enqueue`."""

import time

import pytest

from asynctasq.drivers import BaseDriver, Message, Outcome
from asynctasq.testing.contract.base import (
    Contract,
    ids,
    message,
    messages,
    needs,
    settlements,
)

THIRTY_DAYS = 30 * 24 * 3600.0
ODD_NAMES = (
    "with space",
    "colon:slash/dot.",
    "{braces}",
    "quote'\"`",
    "per%cent_s%%",
    "back\\slash",
    "*?[a-z]",
    "naïve-队列-🐍",
    "Case",
    "case",
)


class EnqueueContract(Contract):
    """Messages are stored unchanged, once, in order, and are due after their delay."""

    async def test_a_message_comes_out_as_it_went_in(self, driver: BaseDriver, queue: str) -> None:
        stored = message(queue, b"body")
        await driver.enqueue([stored])
        taken = await self.take(driver, queue)
        assert (taken.id, taken.queue, taken.body) == (stored.id, queue, b"body")

    async def test_another_driver_finds_it_at_once(
        self, driver: BaseDriver, other_driver: BaseDriver, queue: str
    ) -> None:
        await driver.enqueue([message(queue)])
        (taken,) = await other_driver.dequeue([queue], limit=1, lease=10, wait=0)
        assert taken.attempt == 1

    async def test_order_is_kept_within_a_batch(self, driver: BaseDriver, queue: str) -> None:
        stored = messages(queue, 25)
        await driver.enqueue(stored)
        assert ids(await self.drain(driver, queue, count=25)) == ids(stored)

    async def test_order_is_kept_between_batches(self, driver: BaseDriver, queue: str) -> None:
        stored = messages(queue, 15)
        for start in range(0, 15, 3):
            await driver.enqueue(stored[start : start + 3])
        assert ids(await self.drain(driver, queue, count=15)) == ids(stored)

    async def test_enqueuing_nothing_stores_nothing(self, driver: BaseDriver, queue: str) -> None:
        await driver.enqueue([])
        await self.nothing_comes(driver, queue)

    async def test_a_large_batch_is_enqueued(self, driver: BaseDriver, queue: str) -> None:
        stored = messages(queue, self.large)
        await driver.enqueue(stored)
        taken = await self.drain(driver, queue, count=self.large)
        assert sorted(ids(taken)) == sorted(ids(stored))

    async def test_one_batch_may_fill_several_queues(
        self, driver: BaseDriver, queue: str, other_queue: str
    ) -> None:
        mine, yours = messages(queue, 3), messages(other_queue, 2)
        await driver.enqueue([mine[0], yours[0], mine[1], yours[1], mine[2]])
        assert ids(await self.drain(driver, queue, count=3)) == ids(mine)
        assert ids(await self.drain(driver, other_queue, count=2)) == ids(yours)

    @pytest.mark.parametrize(
        "body",
        [b"", bytes(range(256)), b"\0" * 3, b"\r\n", bytes(range(256)) * 4096],
        ids=["empty", "all bytes", "zeros", "line end", "one megabyte"],
    )
    async def test_a_body_is_kept_byte_for_byte(
        self, driver: BaseDriver, queue: str, body: bytes
    ) -> None:
        body = body[: driver.limits.max_body]
        await driver.enqueue([message(queue, body)])
        assert (await self.take(driver, queue)).body == body

    async def test_odd_queue_names_are_kept_apart(self, driver: BaseDriver, queue: str) -> None:
        stored = [message(f"{queue}{odd}") for odd in ODD_NAMES]
        await driver.enqueue(stored)
        for one in stored:
            taken = await self.take(driver, one.queue)
            assert (taken.id, taken.queue) == (one.id, one.queue)
            await self.nothing_comes(driver, one.queue)

    async def test_odd_ids_are_kept(self, driver: BaseDriver, queue: str) -> None:
        stored = [Message(f"{queue}{odd}", queue, odd.encode()) for odd in ODD_NAMES]
        await driver.enqueue(stored)
        taken = await self.drain(driver, queue, count=len(stored))
        assert {one.id: one.body for one in taken} == {one.id: one.body for one in stored}
        assert list(await driver.settle(settlements(taken, Outcome.DONE))) == []

    async def test_an_id_belongs_to_its_queue(
        self, driver: BaseDriver, queue: str, other_queue: str
    ) -> None:
        stored = message(queue, b"mine")
        await driver.enqueue([stored, Message(stored.id, other_queue, b"yours")])
        mine = await self.take(driver, queue)
        await driver.settle(settlements([mine], Outcome.DONE))
        assert (await self.take(driver, other_queue)).body == b"yours"

    async def test_an_id_twice_in_a_batch_is_stored_once(
        self, driver: BaseDriver, queue: str
    ) -> None:
        needs(driver, "unique_ids")
        first = message(queue, b"first")
        await driver.enqueue([first, Message(first.id, queue, b"second")])
        assert (await self.take(driver, queue)).body == b"first"
        await self.nothing_comes(driver, queue)

    @pytest.mark.parametrize("state", ["ready", "delayed", "held", "retried", "dead"])
    async def test_an_id_that_is_stored_is_left_as_it_is(
        self, driver: BaseDriver, queue: str, state: str
    ) -> None:
        needs(driver, "unique_ids")
        first = message(queue, b"first", delay=60.0 if state == "delayed" else 0.0)
        await driver.enqueue([first])
        outcome = {"retried": Outcome.RETRY, "dead": Outcome.DEAD}.get(state)
        held = await self.drain(driver, queue) if outcome or state == "held" else []
        await driver.settle(settlements(held, outcome, delay=60) if outcome else [])
        await driver.enqueue([Message(first.id, queue, b"second")])
        if state == "ready":
            assert (await self.take(driver, queue)).body == b"first"
        await self.nothing_comes(driver, queue)

    async def test_an_id_that_is_done_can_be_stored_again(
        self, driver: BaseDriver, queue: str
    ) -> None:
        (held,) = await self.hold(driver, queue)
        await driver.settle(settlements([held], Outcome.DONE))
        await driver.enqueue([Message(held.id, queue, b"again")])
        taken = await self.take(driver, queue)
        assert (taken.body, taken.attempt) == (b"again", 1)

    async def test_a_delayed_message_comes_when_it_is_due(
        self, driver: BaseDriver, queue: str
    ) -> None:
        started = time.monotonic()
        await driver.enqueue([message(queue, delay=0.4)])
        await self.take(driver, queue)
        assert time.monotonic() - started >= 0.39

    async def test_a_delayed_message_keeps_nobody_waiting(
        self, driver: BaseDriver, queue: str
    ) -> None:
        late, early = message(queue, delay=60), message(queue)
        await driver.enqueue([late, early])
        assert (await self.take(driver, queue)).id == early.id
        await self.nothing_comes(driver, queue)

    async def test_delayed_messages_come_in_the_order_of_their_delays(
        self, driver: BaseDriver, queue: str
    ) -> None:
        late, early = message(queue, delay=0.6), message(queue, delay=0.2)
        await driver.enqueue([late, early])
        assert ids(await self.drain(driver, queue, count=2)) == [early.id, late.id]

    @pytest.mark.parametrize("delay", [0.0, 1e-9, 0.001])
    async def test_a_delay_may_be_tiny(self, driver: BaseDriver, queue: str, delay: float) -> None:
        started = time.monotonic()
        await driver.enqueue([message(queue, delay=delay)])
        await self.take(driver, queue)
        assert self.prompt(started)

    async def test_a_delay_may_be_a_month(self, driver: BaseDriver, queue: str) -> None:
        delay = min(THIRTY_DAYS, driver.limits.max_delay)
        await driver.enqueue([message(queue, delay=delay)])
        await self.nothing_comes(driver, queue, within=0.1)
