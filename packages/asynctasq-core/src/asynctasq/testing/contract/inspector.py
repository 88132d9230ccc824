"""The base of the contract classes of the `Inspector` capability."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import pytest

from asynctasq.drivers import BaseDriver, Inspector, Outcome, State
from asynctasq.testing.contract.base import Contract, ids, message, messages, settlements

Counts = dict[State, int | None]


class InspectorSteps(Contract):
    """The base of the contract classes of the `Inspector` capability."""

    @pytest.fixture
    def inspector(self, driver: BaseDriver) -> Inspector:
        """The connected driver, as `Inspector`."""
        assert isinstance(driver, Inspector)
        return driver

    async def fill(self, driver: BaseDriver, queue: str) -> dict[State, list[str]]:
        """Put messages of every state into `queue`; return their ids, oldest first."""
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

    async def counts(self, inspector: Inspector, queue: str) -> Counts:
        """Return the number of messages of each state in `queue`."""
        (stats,) = await inspector.counts([queue])
        return {state: getattr(stats, state.value) for state in State}

    async def assert_counts(
        self, driver: BaseDriver, inspector: Inspector, queue: str, expected: Mapping[State, int]
    ) -> None:
        """Fail unless the known counts of `queue` are the expected ones."""

        async def known() -> dict[State, int]:
            counts = await self.counts(inspector, queue)
            return {state: count for state, count in counts.items() if count is not None}

        async def as_expected() -> bool:
            return all(expected[state] == count for state, count in (await known()).items())

        await self.settles(driver, as_expected)
        counts = await known()
        assert counts == {state: expected[state] for state in counts}

    async def settles(self, driver: BaseDriver, is_so: Callable[[], Awaitable[bool]]) -> None:
        """Wait until counts that lag become true."""
        deadline = time.monotonic() + (0 if driver.limits.exact_counts else self.patience)
        while not await is_so() and time.monotonic() < deadline:  # noqa: ASYNC110 - it is a server
            await asyncio.sleep(0.05)


def needs_state(driver: BaseDriver, *states: State) -> None:
    """Expect the test to fail if messages of these states cannot be inspected."""
    if missing := set(states) - driver.limits.inspects:
        names = ", ".join(sorted(state.name for state in missing))
        pytest.xfail(f"Limits.inspects is without {names}")
