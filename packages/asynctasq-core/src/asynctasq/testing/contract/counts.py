"""The promises of `Inspector.queues` and `Inspector.counts`."""

import asyncio
import time

import pytest

from asynctasq.drivers import BaseDriver, Inspector, Outcome, QueueStats, State
from asynctasq.testing.contract.base import ids, message, needs, settlements
from asynctasq.testing.contract.inspector import InspectorSteps, needs_state

WAITING = (State.READY, State.DELAYED)


class CountsContract(InspectorSteps):
    """Every queue that holds a message is listed with its counts, as exact as `Limits` say."""

    async def test_counts_are_exact(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        stored = await self.fill(driver, queue)
        expected = {state: len(ids_) for state, ids_ in stored.items()}
        await self.assert_counts(driver, inspector, queue, expected)

    async def test_counts_follow_every_outcome(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        held = await self.hold(driver, queue, count=15)
        await driver.settle(settlements(held[:1], Outcome.DONE))
        await driver.settle(settlements(held[1:3], Outcome.DEAD))
        await driver.settle(settlements(held[3:6], Outcome.RETRY))
        await driver.settle(settlements(held[6:10], Outcome.RELEASE, delay=60))
        expected = {State.READY: 3, State.DELAYED: 4, State.RUNNING: 5, State.DEAD: 2}
        await self.assert_counts(driver, inspector, queue, expected)

    @pytest.mark.parametrize("state", State)
    async def test_a_queue_with_one_message_is_listed(
        self, driver: BaseDriver, inspector: Inspector, queue: str, state: State
    ) -> None:
        await driver.enqueue([message(queue, delay=60 if state is State.DELAYED else 0)])
        held = [] if state in WAITING else await self.drain(driver, queue)
        await driver.settle(settlements(held, Outcome.DEAD) if state is State.DEAD else [])
        expected = {other: int(other is state) for other in State}
        await self.assert_counts(driver, inspector, queue, expected)
        await self.becomes_listed(driver, inspector, [queue])

    async def test_a_queue_without_messages_is_not_listed(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        held = await self.hold(driver, queue)
        await driver.settle(settlements(held, Outcome.DONE))

        async def is_gone() -> bool:
            return queue not in [stats.queue for stats in await inspector.queues()]

        await self.settles(driver, is_gone)
        assert await is_gone()

    async def test_queues_are_listed_by_name(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        names = [f"{queue}-c", f"{queue}-a: {{odd}} 'ü'%", f"{queue}-b"]
        await driver.enqueue([message(name) for name in names])
        await self.becomes_listed(driver, inspector, sorted(names))

    async def test_queues_are_counted_in_the_order_asked_for(
        self, driver: BaseDriver, inspector: Inspector, queue: str, other_queue: str
    ) -> None:
        await driver.enqueue([message(queue), message(other_queue), message(other_queue)])
        asked = [other_queue, f"{queue}-unknown", queue]

        async def counted() -> list[tuple[str, int]]:
            return [(stats.queue, stats.ready) for stats in await inspector.counts(asked)]

        expected = list(zip(asked, (2, 0, 1), strict=True))

        async def as_expected() -> bool:
            return await counted() == expected

        await self.settles(driver, as_expected)
        assert await counted() == expected
        assert list(await inspector.counts([])) == []

    async def test_the_oldest_ready_message_tells_its_age(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        needs(driver, "exact_counts")
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
        needs(driver, "exact_counts")
        await self.hold(driver, queue)
        await driver.enqueue([message(queue, delay=60)])
        assert (await self.stats(inspector, queue)).oldest is None

    async def test_a_message_whose_lease_ran_out_is_ready(
        self, driver: BaseDriver, inspector: Inspector, queue: str, short_lease: float
    ) -> None:
        needs_state(driver, State.READY, State.RUNNING)
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
        needs_state(driver, State.READY, State.DELAYED)
        await driver.enqueue([one := message(queue, delay=0.1)])
        await asyncio.sleep(0.2)
        assert (await self.counts(inspector, queue))[State.READY] == 1
        assert ids(await inspector.browse(queue, State.READY, limit=9)) == [one.id]
        assert list(await inspector.browse(queue, State.DELAYED, limit=9)) == []

    async def becomes_listed(
        self, driver: BaseDriver, inspector: Inspector, names: list[str]
    ) -> None:
        """Fail unless exactly these queues of the test are listed, in this order."""
        common = min(names, key=len)[: len("queue-") + 32]

        async def listed() -> list[str]:
            everything = [stats.queue for stats in await inspector.queues()]
            return [name for name in everything if name.startswith(common)]

        async def as_expected() -> bool:
            return await listed() == names

        await self.settles(driver, as_expected)
        assert await listed() == names

    async def stats(self, inspector: Inspector, queue: str) -> QueueStats:
        """The statistics of `queue`."""
        (found,) = await inspector.counts([queue])
        return found
