"""What the contract classes of the `Inspector` ability share."""

import pytest

from asynctasq.drivers import BaseDriver, Inspector, Outcome, State
from asynctasq.testing.contract.base import Contract, ids, message, messages, settlements


class InspectorSteps(Contract):
    """The base of the contract classes of the Inspector ability."""

    @pytest.fixture
    def inspector(self, driver: BaseDriver) -> Inspector:
        """The connected driver as what this class tests."""
        assert isinstance(driver, Inspector)
        return driver

    async def fill(self, driver: BaseDriver, queue: str) -> dict[State, list[str]]:
        """Put messages of every state into `queue`; their ids, first delivered or dead first."""
        dead = await self.hold(driver, queue, count=2)
        await driver.settle(settlements(dead, Outcome.DEAD, note="why"))
        running = await self.hold(driver, queue, count=3)
        ready = messages(queue, 4)
        delayed = [message(queue, delay=delay) for delay in (1000, 2000, 3000, 4000, 5000)]
        await driver.enqueue([*delayed, *ready])
        return {
            State.READY: ids(ready),
            State.DELAYED: ids(delayed),
            State.RUNNING: ids(running),
            State.DEAD: ids(dead),
        }

    async def counts(self, inspector: Inspector, queue: str) -> dict[State, int]:
        """How many messages of each state `queue` holds."""
        for stats in await inspector.queues():
            if stats.queue == queue:
                return {state: getattr(stats, state.value) for state in State}
        return dict.fromkeys(State, 0)
