"""The promises of the `Control` capability."""

import asyncio
import time

import pytest

from asynctasq.drivers import BaseDriver, Control, Message, Outcome
from asynctasq.testing.contract.base import (
    LONG,
    Contract,
    ids,
    message,
    messages,
    needs,
    settlements,
)


class ControlContract(Contract):
    """Queues can be paused, and held messages revoked."""

    @pytest.fixture
    def control(self, driver: BaseDriver) -> Control:
        """The driver, as `Control`."""
        assert isinstance(driver, Control), "the driver lacks the Control capability"
        return driver

    async def test_a_paused_queue_is_not_delivered(
        self, driver: BaseDriver, control: Control, other_driver: BaseDriver, queue: str
    ) -> None:
        await driver.enqueue(messages(queue, 3))
        await control.pause(queue)
        await self.nothing_comes(driver, queue)
        await self.nothing_comes(other_driver, queue)
        await control.resume(queue)
        assert {one.attempt for one in await self.drain(driver, queue, count=3)} == {1}

    async def test_a_queue_is_paused_and_resumed_once(
        self, control: Control, queue: str, other_queue: str
    ) -> None:
        assert await control.pause(queue)
        assert not await control.pause(queue)
        assert not await control.resume(other_queue)
        assert await control.resume(queue)
        assert not await control.resume(queue)

    async def test_paused_queues_are_listed_by_name(
        self, driver: BaseDriver, control: Control, other_driver: BaseDriver, queue: str
    ) -> None:
        mine = [f"{queue}-{letter}" for letter in "bac"]
        for name in mine:
            await control.pause(name)
        assert isinstance(other_driver, Control)
        listed = list(await other_driver.paused())
        assert listed == sorted(listed)
        assert [name for name in listed if name.startswith(queue)] == sorted(mine)
        for name in mine:
            await other_driver.resume(name)
        assert not set(mine) & set(await control.paused())

    async def test_other_queues_of_the_same_dequeue_are_delivered(
        self, driver: BaseDriver, control: Control, queue: str, other_queue: str
    ) -> None:
        await driver.enqueue([*messages(queue, 2), *messages(other_queue, 2)])
        await control.pause(queue)
        taken = await self.drain(driver, queue, other_queue, count=2)
        assert {one.queue for one in taken} == {other_queue}
        await self.nothing_comes(driver, queue, other_queue)
        await control.resume(queue)
        await self.drain(driver, queue, other_queue, count=2)

    async def test_a_full_fetch_skips_a_queue_that_was_paused_since_the_last(
        self, driver: BaseDriver, control: Control, queue: str
    ) -> None:
        await driver.enqueue(messages(queue, 6))
        assert len(await driver.dequeue([queue], limit=2, lease=LONG, wait=0)) == 2
        await control.pause(queue)
        assert list(await driver.dequeue([queue], limit=2, lease=LONG, wait=0)) == []
        await control.resume(queue)
        await self.drain(driver, queue, count=4)

    async def test_what_becomes_due_waits_for_the_resumption(
        self, driver: BaseDriver, control: Control, queue: str, short_lease: float
    ) -> None:
        """Both delayed messages and those whose lease ran out."""
        held = await self.hold(driver, queue, lease=short_lease)
        await driver.enqueue([message(queue, delay=short_lease)])
        await control.pause(queue)
        await self.nothing_comes(driver, queue, within=short_lease * 1.5)
        await control.resume(queue)
        taken = await self.drain(driver, queue, count=2)
        assert {one.id: one.attempt for one in taken}[held[0].id] == 2

    @pytest.mark.parametrize("outcome", Outcome)
    async def test_what_is_held_is_extended_and_settled(
        self, driver: BaseDriver, control: Control, queue: str, outcome: Outcome
    ) -> None:
        held = await self.hold(driver, queue)
        await control.pause(queue)
        assert list(await driver.extend(held, lease=LONG)) == []
        assert list(await driver.settle(settlements(held, outcome))) == []
        await self.nothing_comes(driver, queue, within=0.1)
        await control.resume(queue)
        again = outcome in (Outcome.RETRY, Outcome.RELEASE)
        if again:
            assert ids([await self.take(driver, queue)]) == ids(held)
        await self.nothing_comes(driver, queue)

    async def test_resuming_wakes_a_waiting_dequeue(
        self, driver: BaseDriver, control: Control, other_driver: BaseDriver, queue: str
    ) -> None:
        await control.pause(queue)
        await driver.enqueue([message(queue)])
        waiting = asyncio.ensure_future(self.take(other_driver, queue))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        started = time.monotonic()
        await control.resume(queue)
        await waiting
        assert self.prompt(started)

    async def test_a_message_on_another_queue_wakes_whoever_waits_for_both(
        self, driver: BaseDriver, control: Control, other_driver: BaseDriver, queue: str,
        other_queue: str,
    ) -> None:  # fmt: skip
        await driver.enqueue([message(queue)])
        await control.pause(queue)
        waiting = asyncio.ensure_future(self.drain(other_driver, queue, other_queue))
        await asyncio.sleep(0.1)
        started = time.monotonic()
        await driver.enqueue([message(other_queue)])
        assert [one.queue for one in await waiting] == [other_queue]
        assert self.prompt(started)
        await control.resume(queue)

    async def test_a_held_message_is_revoked(
        self, driver: BaseDriver, control: Control, queue: str
    ) -> None:
        needs(driver, "reports_lost_leases")
        held = await self.hold(driver, queue, count=2)
        assert list(await control.revoke(queue, [held[0].id])) == [held[0].id]
        assert list(await driver.extend(held, lease=LONG)) == [held[0]]

    @pytest.mark.parametrize("outcome", Outcome)
    async def test_the_outcome_of_a_revoked_message_changes_nothing(
        self, driver: BaseDriver, control: Control, queue: str, outcome: Outcome
    ) -> None:
        held = await self.hold(driver, queue)
        await control.revoke(queue, ids(held))
        assert list(await driver.settle(settlements(held, outcome))) == held
        await self.nothing_comes(driver, queue, within=0.1)

    async def test_only_what_is_held_is_revoked(
        self, driver: BaseDriver, control: Control, queue: str, short_lease: float
    ) -> None:
        dead, late = await self.hold(driver, queue, count=2, lease=short_lease)
        await driver.settle(settlements([dead], Outcome.DEAD))
        await asyncio.sleep(short_lease * 1.3)
        ready, delayed = message(queue), message(queue, delay=0.5)
        await driver.enqueue([ready, delayed])
        everything = [dead.id, late.id, ready.id, delayed.id, "unknown"]
        assert list(await control.revoke(queue, everything)) == []
        assert list(await control.revoke(queue, [])) == []
        taken = await self.drain(driver, queue, count=3)
        assert sorted(ids(taken)) == sorted([late.id, ready.id, delayed.id])

    async def test_ids_are_revoked_on_their_queue_and_once(
        self, driver: BaseDriver, control: Control, queue: str, other_queue: str
    ) -> None:
        (held,) = await self.hold(driver, queue)
        assert list(await control.revoke(other_queue, [held.id])) == []
        assert list(await control.revoke(queue, [held.id, held.id])) == [held.id]
        assert list(await control.revoke(queue, [held.id])) == []

    async def test_a_revoked_id_can_be_stored_again(
        self, driver: BaseDriver, control: Control, queue: str
    ) -> None:
        (held,) = await self.hold(driver, queue)
        await control.revoke(queue, [held.id])
        await driver.enqueue([Message(held.id, queue, b"again")])
        assert list(await driver.settle(settlements([held], Outcome.DONE))) == [held]
        again = await self.take(driver, queue)
        assert (again.body, again.attempt) == (b"again", 1)

    async def test_a_large_batch_is_revoked(
        self, driver: BaseDriver, control: Control, queue: str
    ) -> None:
        held = await self.hold(driver, queue, count=self.large)
        assert sorted(await control.revoke(queue, ids(held))) == sorted(ids(held))
        assert len(await driver.extend(held, lease=LONG)) == self.large
