"""The promises of `Inspector.requeue`, `Inspector.delete` and `Inspector.purge`."""

import asyncio
import time

import pytest

from asynctasq.drivers import BaseDriver, Inspector, Message, Outcome, State
from asynctasq.errors import BrokerRejected
from asynctasq.testing.contract.base import ids, message, needs, settlements
from asynctasq.testing.contract.inspector import InspectorSteps, needs_state


class RepairContract(InspectorSteps):
    """Messages are requeued and deleted by id, and others do not change."""

    async def test_a_requeued_message_is_new(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        (held,) = await self.hold(driver, queue)
        await driver.settle(settlements([held], Outcome.DEAD, note="why"))
        assert list(await inspector.requeue(queue, [held.id])) == [held.id]
        found = await inspector.find(queue, [held.id])
        if State.READY in driver.limits.inspects:
            assert [(one.state, one.attempt, one.note) for one in found] == [(State.READY, 0, "")]
        else:
            assert list(found) == []
        again = await self.take(driver, queue)
        assert (again.id, again.body, again.attempt) == (held.id, held.body, 1)

    async def test_a_requeued_message_wakes_a_waiting_dequeue(
        self, driver: BaseDriver, inspector: Inspector, other_driver: BaseDriver, queue: str
    ) -> None:
        held = await self.hold(driver, queue)
        await driver.settle(settlements(held, Outcome.DEAD))
        waiting = asyncio.ensure_future(self.take(other_driver, queue))
        await asyncio.sleep(0.05)
        started = time.monotonic()
        await inspector.requeue(queue, ids(held))
        assert (await waiting).id == held[0].id
        assert self.prompt(started)

    async def test_only_dead_messages_are_requeued(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        stored = await self.fill(driver, queue)
        everything = [one for ids_ in stored.values() for one in ids_]
        counts = {state: len(ids_) for state, ids_ in stored.items()}
        done = await inspector.requeue(queue, [*everything, "unknown"])
        assert sorted(done) == sorted(stored[State.DEAD])
        counts[State.READY] += counts[State.DEAD]
        await self.assert_counts(driver, inspector, queue, {**counts, State.DEAD: 0})

    async def test_deleting_removes_what_is_not_held(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        stored = await self.fill(driver, queue)
        everything = [one for ids_ in stored.values() for one in ids_]
        gone = await inspector.delete(queue, [*everything, "unknown"])
        seen = driver.limits.inspects - {State.RUNNING}
        assert set(gone) == {one for state in seen for one in stored[state]}
        left = {state: 0 if state in seen else len(stored[state]) for state in State}
        await self.assert_counts(driver, inspector, queue, left)
        await self.drain(driver, queue, count=left[State.READY])
        await self.nothing_comes(driver, queue, within=0.1)

    async def test_deleting_leaves_the_holder_of_a_message_alone(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        held = await self.hold(driver, queue)
        assert list(await inspector.delete(queue, ids(held))) == []
        assert list(await driver.settle(settlements(held, Outcome.DONE))) == []

    async def test_a_late_holder_lost_what_was_deleted(
        self, driver: BaseDriver, inspector: Inspector, queue: str, short_lease: float
    ) -> None:
        needs(driver, "reports_lost_leases")
        needs_state(driver, State.READY)
        held = await self.hold(driver, queue, lease=short_lease)
        await asyncio.sleep(short_lease * 1.3)
        assert list(await inspector.delete(queue, ids(held))) == ids(held)
        assert list(await driver.settle(settlements(held, Outcome.RETRY))) == held
        await self.nothing_comes(driver, queue)

    async def test_an_id_named_twice_is_deleted_once(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        (held,) = await self.hold(driver, queue)
        await driver.settle(settlements([held], Outcome.DEAD))
        assert list(await inspector.delete(queue, [held.id, held.id])) == [held.id]

    async def test_a_deleted_id_can_be_stored_again(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        (held,) = await self.hold(driver, queue)
        await driver.settle(settlements([held], Outcome.DEAD))
        await inspector.delete(queue, [held.id])
        await driver.enqueue([Message(held.id, queue, b"again")])
        assert (await self.take(driver, queue)).body == b"again"

    @pytest.mark.parametrize("state", [State.READY, State.DELAYED, State.DEAD])
    async def test_a_purge_removes_one_state_and_nothing_else(
        self, driver: BaseDriver, inspector: Inspector, queue: str, state: State
    ) -> None:
        stored = await self.fill(driver, queue)
        counts = {state: len(ids_) for state, ids_ in stored.items()}
        try:
            assert await inspector.purge(queue, state) == counts[state]
        except BrokerRejected:
            needs_state(driver, state)
            raise
        await self.assert_counts(driver, inspector, queue, {**counts, state: 0})

    async def test_held_messages_cannot_be_purged(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        held = await self.hold(driver, queue)
        with pytest.raises(BrokerRejected):
            await inspector.purge(queue, State.RUNNING)
        assert list(await driver.settle(settlements(held, Outcome.DONE))) == []

    async def test_a_purge_leaves_other_queues_alone(
        self, driver: BaseDriver, inspector: Inspector, queue: str, other_queue: str
    ) -> None:
        for name in (queue, other_queue):
            held = await self.hold(driver, name, count=2)
            await driver.settle(settlements(held, Outcome.DEAD))
        assert await inspector.purge(queue, State.DEAD) == 2
        assert await inspector.purge(other_queue, State.DEAD) == 2

    async def test_a_large_batch_is_requeued_and_deleted(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        held, third = await self.hold(driver, queue, count=self.large), self.large // 3
        await driver.settle(settlements(held, Outcome.DEAD))
        assert len(await inspector.browse(queue, State.DEAD, limit=self.large * 2)) == self.large
        assert len(await inspector.find(queue, ids(held))) == self.large
        assert len(await inspector.delete(queue, ids(held)[:third])) == third
        assert len(await inspector.requeue(queue, ids(held)[third : third * 2])) == third
        assert await inspector.purge(queue, State.DEAD) == self.large - third * 2
        again = await self.drain(driver, queue, count=third)
        assert sorted(ids(again)) == sorted(ids(held)[third : third * 2])

    @pytest.mark.parametrize("state", State)
    async def test_what_cannot_be_looked_into_is_refused(
        self, driver: BaseDriver, inspector: Inspector, queue: str, state: State
    ) -> None:
        await driver.enqueue([message(queue)])
        if state in driver.limits.inspects:
            await inspector.browse(queue, state, limit=9)
        else:
            with pytest.raises(BrokerRejected):
                await inspector.browse(queue, state, limit=9)
        assert (await self.take(driver, queue)).attempt == 1

    async def test_an_unknown_queue_gives_empty_answers(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        for state in driver.limits.inspects:
            assert list(await inspector.browse(queue, state, limit=9)) == []
        assert list(await inspector.find(queue, ["unknown"])) == []
        assert list(await inspector.requeue(queue, ["unknown"])) == []
        assert list(await inspector.delete(queue, ["unknown"])) == []
        assert await inspector.purge(queue, State.DEAD) == 0
        assert queue not in [stats.queue for stats in await inspector.queues()]

    async def test_inspecting_no_ids_gives_empty_answers(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        await driver.enqueue([message(queue)])
        assert list(await inspector.find(queue, [])) == []
        assert list(await inspector.requeue(queue, [])) == []
        assert list(await inspector.delete(queue, [])) == []
        await self.take(driver, queue)
