"""The promises of `Inspector.browse` and `Inspector.find`."""

import asyncio

import pytest

from asynctasq.drivers import BaseDriver, Inspector, Outcome, State
from asynctasq.testing.contract.base import LONG, ids, message, settlements
from asynctasq.testing.contract.inspector import InspectorSteps, needs_state


class BrowseContract(InspectorSteps):
    """Stored messages are shown as they are, by state, in order and in pages."""

    @pytest.mark.parametrize("state", State)
    async def test_browsing_shows_one_state_and_nothing_else(
        self, driver: BaseDriver, inspector: Inspector, queue: str, state: State
    ) -> None:
        needs_state(driver, state)
        stored = await self.fill(driver, queue)
        shown = await inspector.browse(queue, state, limit=100)
        assert sorted(ids(shown)) == sorted(stored[state])
        assert {(one.queue, one.state) for one in shown} == {(queue, state)}

    @pytest.mark.parametrize("state", [State.READY, State.DELAYED])
    async def test_what_comes_next_is_shown_first(
        self, driver: BaseDriver, inspector: Inspector, queue: str, state: State
    ) -> None:
        needs_state(driver, state)
        stored = await self.fill(driver, queue)
        assert ids(await inspector.browse(queue, state, limit=100)) == stored[state]

    async def test_the_lease_that_ends_next_is_shown_first(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        needs_state(driver, State.RUNNING)
        first, second = await self.hold(driver, queue, count=2)
        await driver.extend([first], lease=LONG * 2)
        shown = await inspector.browse(queue, State.RUNNING, limit=9)
        assert ids(shown) == [second.id, first.id]

    async def test_the_latest_dead_is_shown_first(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        held = await self.hold(driver, queue, count=3)
        for one in held:
            await driver.settle(settlements([one], Outcome.DEAD))
            await asyncio.sleep(0.01)
        shown = await inspector.browse(queue, State.DEAD, limit=9)
        assert ids(shown) == ids(held)[::-1]

    @pytest.mark.parametrize("state", State)
    async def test_pages_follow_each_other(
        self, driver: BaseDriver, inspector: Inspector, queue: str, state: State
    ) -> None:
        needs_state(driver, state)
        await self.fill(driver, queue)
        everything = ids(await inspector.browse(queue, state, limit=100))
        pages = [
            ids(await inspector.browse(queue, state, limit=2, offset=offset))
            for offset in range(0, 8, 2)
        ]
        assert max(map(len, pages)) == 2
        assert [one for page in pages for one in page] == everything

    async def test_a_stored_message_is_shown_as_it_is(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        needs_state(driver, State.DELAYED)
        await driver.enqueue([stored := message(queue, bytes(range(256)), delay=60)])
        (shown,) = await inspector.browse(queue, State.DELAYED, limit=9)
        assert list(await inspector.find(queue, [stored.id])) != []
        assert (shown.id, shown.queue, shown.body) == (stored.id, queue, stored.body)
        assert (shown.attempt, shown.note) == (0, "")

    async def test_a_dead_message_shows_its_attempts_and_its_note(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        held = await self.hold(driver, queue)
        await driver.settle(settlements(held, Outcome.RETRY))
        again = await self.drain(driver, queue)
        await driver.settle(settlements(again, Outcome.DEAD, note="ValueError: naïve\nline"))
        (shown,) = await inspector.browse(queue, State.DEAD, limit=9)
        assert (shown.attempt, shown.note) == (2, "ValueError: naïve\nline")

    async def test_a_note_may_be_long(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        held = await self.hold(driver, queue)
        await driver.settle(settlements(held, Outcome.DEAD, note="a line\n" * 2000))
        (shown,) = await inspector.browse(queue, State.DEAD, limit=9)
        assert shown.note == "a line\n" * 2000

    async def test_seconds_tell_when_it_is_due_and_when_the_lease_ends(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        needs_state(driver, State.RUNNING, State.DELAYED)
        (held,) = await self.hold(driver, queue, lease=500)
        await driver.enqueue([late := message(queue, delay=900)])
        running, delayed = await inspector.find(queue, [held.id, late.id])
        assert 500 - self.patience <= running.seconds <= 501
        assert 900 - self.patience <= delayed.seconds <= 900

    async def test_seconds_tell_how_long_it_is_dead_or_ready(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        held = await self.hold(driver, queue)
        await driver.settle(settlements(held, Outcome.DEAD))
        await driver.enqueue([waiting := message(queue)])
        await asyncio.sleep(0.2)
        found = await inspector.find(queue, [held[0].id, waiting.id])
        assert {one.state for one in found} == {State.DEAD, State.READY} & driver.limits.inspects
        for one in found:
            assert 0.15 <= one.seconds <= self.patience

    async def test_messages_are_found_in_the_order_asked_for(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        stored = await self.fill(driver, queue)
        wanted = [stored[state][1] for state in State]
        found = await inspector.find(queue, [wanted[0], "unknown", *wanted[1:]])
        assert [(one.id, one.state) for one in found] == [
            (stored[state][1], state) for state in State if state in driver.limits.inspects
        ]
