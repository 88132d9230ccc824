"""What `Inspector.queues` promises."""

import asyncio
import time

import pytest

from asynctasq.drivers import BaseDriver, Inspector, Outcome, QueueStats, State
from asynctasq.testing.contract.base import ids, message, settlements
from asynctasq.testing.contract.inspector import InspectorSteps

WAITING = (State.READY, State.DELAYED)


class CountsContract(InspectorSteps):
    """Every queue that holds a message is listed with exact counts."""

    async def test_counts_are_exact(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        stored = await self.fill(driver, queue)
        expected = {state: len(ids_) for state, ids_ in stored.items()}
        assert await self.counts(inspector, queue) == expected

    async def test_counts_follow_every_outcome(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        held = await self.hold(driver, queue, count=15)
        await driver.settle(settlements(held[:1], Outcome.DONE))
        await driver.settle(settlements(held[1:3], Outcome.DEAD))
        await driver.settle(settlements(held[3:6], Outcome.RETRY))
        await driver.settle(settlements(held[6:10], Outcome.RELEASE, delay=60))
        expected = {State.READY: 3, State.DELAYED: 4, State.RUNNING: 5, State.DEAD: 2}
        assert await self.counts(inspector, queue) == expected

    @pytest.mark.parametrize("state", State)
    async def test_a_queue_with_one_message_is_listed(
        self, driver: BaseDriver, inspector: Inspector, queue: str, state: State
    ) -> None:
        await driver.enqueue([message(queue, delay=60 if state is State.DELAYED else 0)])
        held = [] if state in WAITING else await self.drain(driver, queue)
        await driver.settle(settlements(held, Outcome.DEAD) if state is State.DEAD else [])
        expected = {other: int(other is state) for other in State}
        assert await self.counts(inspector, queue) == expected

    async def test_a_queue_without_messages_is_not_listed(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        held = await self.hold(driver, queue)
        await driver.settle(settlements(held, Outcome.DONE))
        assert queue not in [stats.queue for stats in await inspector.queues()]

    async def test_queues_are_listed_by_name(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        names = [f"{queue}-c", f"{queue}-a: {{odd}} 'ü'%", f"{queue}-b"]
        await driver.enqueue([message(name) for name in names])
        listed = [stats.queue for stats in await inspector.queues()]
        assert [name for name in listed if name.startswith(queue)] == sorted(names)

    async def test_the_oldest_ready_message_tells_its_age(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        started = time.monotonic()
        await driver.enqueue([message(queue), message(queue, delay=60)])
        await asyncio.sleep(0.3)
        await driver.enqueue([message(queue)])
        oldest = (await self.stats(inspector, queue)).oldest
        assert oldest is not None
        assert 0.25 <= oldest <= time.monotonic() - started + 0.05

    async def test_without_a_ready_message_there_is_no_oldest(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        await self.hold(driver, queue)
        await driver.enqueue([message(queue, delay=60)])
        assert (await self.stats(inspector, queue)).oldest is None

    async def test_a_message_whose_lease_ran_out_is_ready(
        self, driver: BaseDriver, inspector: Inspector, queue: str, short_lease: float
    ) -> None:
        (held,) = await self.hold(driver, queue, lease=short_lease)
        await asyncio.sleep(short_lease * 1.3)
        assert (await self.counts(inspector, queue))[State.READY] == 1
        assert ids(await inspector.browse(queue, State.READY, limit=9)) == [held.id]
        assert list(await inspector.browse(queue, State.RUNNING, limit=9)) == []
        (found,) = await inspector.find(queue, [held.id])
        assert (found.state, found.attempt) == (State.READY, 1)

    async def test_a_delayed_message_that_is_due_is_ready(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        await driver.enqueue([one := message(queue, delay=0.1)])
        await asyncio.sleep(0.2)
        assert (await self.counts(inspector, queue))[State.READY] == 1
        assert ids(await inspector.browse(queue, State.READY, limit=9)) == [one.id]
        assert list(await inspector.browse(queue, State.DELAYED, limit=9)) == []

    async def stats(self, inspector: Inspector, queue: str) -> QueueStats:
        """The statistics of `queue`, which must be listed."""
        (found,) = [stats for stats in await inspector.queues() if stats.queue == queue]
        return found
