"""What a worker with a backlog prefetches."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, cast

import pytest
from tasks_for_tests import Gate, gates, note, pass_gate
from worker_for_tests import NewDriver, Wrapped, look, until_settled, wait_until

from asynctasq import Worker, dispatch_many
from asynctasq.core.worker.in_flight import InFlight
from asynctasq.core.worker.prefetch import MOST_BYTES, Prefetch
from asynctasq.drivers import BaseDriver, Delivery, Limits, Outcome, Settlement, State

pytestmark = pytest.mark.anyio

SLOTS = 2
#: Enough for the worker to see that they are short.
SHORT = 300
MOST = 500
#: Enough slots for the largest prefetch, however slow this machine is.
MANY_SLOTS = 10_000_000


class Asked(Wrapped):
    """Remembers how many messages a worker asked for."""

    def __init__(self, driver: BaseDriver) -> None:
        super().__init__(driver)
        self.asked: list[int] = []

    async def dequeue(self, queues: Sequence[str], **options: Any) -> Sequence[Delivery]:
        self.asked.append(options["limit"])
        return await super().dequeue(queues, **options)


class Given:
    """A prefetch, and the table whose buffer it watches."""

    def __init__(self, *, slots: int = MANY_SLOTS, most: int = MOST, exact: bool = True) -> None:
        limits = Limits(prefetch=most, exact_attempts=exact)
        self.table = InFlight("worker", slots=slots, budget=None, max_unsettled=1000)
        self.prefetch = Prefetch(self.table, limits, slots=slots)

    def hurry(self, *, body: bytes = b"", attempt: int = 1) -> None:
        """Let it see short tasks, and a backlog of such messages."""
        for _ in range(SHORT):
            self.prefetch.ended(time.perf_counter())
        self.prefetch.fetched([delivery(0, body=body, attempt=attempt)], 1)

    def buffer(self, number: int) -> None:
        attempt = self.table.admit(delivery(number))
        assert attempt is not None
        self.prefetch.wait(attempt)

    def released(self) -> list[Settlement | None]:
        return [one.settlement for one in self.table.send(1000)]


def delivery(number: int, *, body: bytes = b"", attempt: int = 1) -> Delivery:
    return Delivery(str(number), "q", body, attempt, None)


async def test_short_tasks_are_taken_ahead_and_no_more_run_at_once(
    new_driver: NewDriver, ran: list[object]
) -> None:
    await dispatch_many([note(number) for number in range(2 * SHORT)])
    driver = Asked(new_driver())
    await Worker(cast(BaseDriver, driver), concurrency=SLOTS, burst=True).start()
    assert ran == list(range(2 * SHORT))
    assert max(driver.asked) > SLOTS


@pytest.mark.flakiest
async def test_what_has_no_slot_after_all_goes_to_other_workers(
    new_driver: NewDriver, ran: list[object]
) -> None:
    gate = gates["long"] = Gate()
    calls = [note(number) for number in range(SHORT)]
    await dispatch_many([*calls, *(pass_gate("long") for _ in range(20))])
    driver = Asked(new_driver())
    one = Worker(cast(BaseDriver, driver), concurrency=SLOTS)
    working = [asyncio.create_task(one.start())]
    await wait_until(lambda: gate.inside == SLOTS)
    async with asyncio.timeout(20):
        while len(await look(new_driver, State.RUNNING)) != SLOTS:
            await asyncio.sleep(0.01)
    assert max(driver.asked) > SLOTS
    two = Worker(new_driver(), concurrency=100)
    working.append(asyncio.create_task(two.start()))
    await wait_until(lambda: gate.inside == 20)
    gate.opened.set()
    await until_settled(new_driver)
    await asyncio.gather(one.stop(), two.stop(), *working)
    assert await look(new_driver) == []


async def test_a_budget_is_kept_by_what_was_taken_ahead(
    new_driver: NewDriver, ran: list[object]
) -> None:
    await dispatch_many([note(number) for number in range(2 * SHORT)])
    budget = SHORT + 7
    await Worker(new_driver(), concurrency=SLOTS, max_tasks=budget).start()
    assert ran == list(range(budget))
    driver: Any = new_driver()
    await driver.connect()
    left = list(await driver.browse("default", State.READY, limit=1000))
    await driver.disconnect()
    assert len(left) == 2 * SHORT - budget
    assert {one.attempt for one in left} == {0}


async def test_what_is_ahead_when_the_worker_stops_is_given_back(
    new_driver: NewDriver, ran: list[object]
) -> None:
    gate = gates["long"] = Gate()
    calls = [note(number) for number in range(SHORT)]
    await dispatch_many([*calls, *(pass_gate("long") for _ in range(20))])
    worker = Worker(new_driver(), concurrency=SLOTS, shutdown_timeout=20)
    working = asyncio.create_task(worker.start())
    await wait_until(lambda: gate.inside == SLOTS)
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(stopping, working)
    assert len(ran) == SHORT + SLOTS
    left = await look(new_driver, State.READY)
    assert len(left) == 20 - SLOTS
    assert {one.attempt for one in left} == {0}


async def test_nothing_is_prefetched_for_long_tasks() -> None:
    given = Given(slots=SLOTS)
    given.hurry()
    given.prefetch.ended(time.perf_counter() - 3600)
    assert given.prefetch.wanted() == 0


async def test_nothing_is_prefetched_where_a_release_has_a_price() -> None:
    given = Given(most=0)
    given.hurry()
    assert given.prefetch.wanted() == 0


async def test_nothing_is_prefetched_from_an_empty_queue() -> None:
    given = Given()
    given.hurry()
    given.prefetch.fetched([delivery(0)], 2)
    assert given.prefetch.wanted() == 0


async def test_half_of_it_has_to_start_before_more_is_wanted() -> None:
    given = Given()
    given.hurry()
    for number in range(MOST // 2 + 1):
        given.buffer(number)
    assert given.prefetch.wanted() == 0
    started = given.table.start_next()
    assert started is not None
    assert started.delivery == delivery(0)
    assert given.prefetch.wanted() == MOST // 2
    given.prefetch.close()


async def test_large_messages_do_not_fill_the_memory() -> None:
    given = Given()
    given.hurry(body=bytes(MOST_BYTES // 2))
    assert given.prefetch.wanted() == 2


async def test_only_first_attempts_wait_where_attempts_are_counted_exactly() -> None:
    given = Given()
    given.hurry(attempt=2)
    assert given.prefetch.wanted() == 0
    assert not given.prefetch.may_wait(delivery(1, attempt=2))
    other = Given(exact=False)
    other.hurry(attempt=2)
    assert other.prefetch.wanted() == MOST
    assert other.prefetch.may_wait(delivery(1, attempt=2))


async def test_what_waits_for_too_long_is_released() -> None:
    given = Given()
    given.hurry()
    given.buffer(1)
    given.buffer(2)
    await wait_until(lambda: given.table.unsettled == 2)
    assert given.released() == [Settlement(delivery(n), Outcome.RELEASE) for n in (1, 2)]
    assert given.table.buffered == 0
    assert given.prefetch.wanted() == 0


async def test_what_started_in_time_is_not_released() -> None:
    given = Given()
    given.buffer(1)
    assert given.table.start_next() is not None
    given.buffer(2)
    await wait_until(lambda: given.table.unsettled == 1)
    assert given.released() == [Settlement(delivery(2), Outcome.RELEASE)]
    assert given.table.running == 1
