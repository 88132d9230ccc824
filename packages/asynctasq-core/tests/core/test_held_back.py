"""Outcomes that wait for the broker, and the end of their wait."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from asynctasq import BrokerRejected, BrokerUnavailable
from asynctasq.core.execution.attempt import Attempt
from asynctasq.core.execution.outcomes import Outcomes
from asynctasq.core.worker.broker_health import BrokerHealth
from asynctasq.core.worker.held_back import HeldBack
from asynctasq.core.worker.in_flight import InFlight
from asynctasq.core.worker.refused_outcomes import LIFETIME, RefusedOutcomes
from asynctasq.core.worker.settler import Settler
from asynctasq.drivers import Delivery, Outcome, Settlement
from asynctasq.drivers.memory import MemoryDriver, MemorySettings
from asynctasq.events.stream import EventStream

pytestmark = pytest.mark.anyio


class Refusing(MemoryDriver):
    """Refuses what comes from queue a, and is away for the others."""

    calls = 0

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        self.calls += 1
        if {one.delivery.queue for one in settlements} == {"a"}:
            raise BrokerRejected("no")
        raise BrokerUnavailable("away")


def taken(queue: str, attempt: int = 1, body: bytes = b"") -> Delivery:
    return Delivery("1", queue, body, attempt, attempt)


def end(table: InFlight, delivery: Delivery, outcome: Outcome) -> None:
    table.admit(delivery)
    attempt = table.start_next()
    assert attempt is not None
    table.finish(attempt, Settlement(delivery, outcome))


async def test_what_is_gone_does_not_keep_the_settler_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    pause = Settler._wait

    async def wait(self: Settler, seconds: float) -> None:
        waits.append(seconds)
        await pause(self, seconds)

    monkeypatch.setattr(Settler, "_wait", wait)
    table = InFlight("worker", slots=9, budget=None, max_unsettled=99)
    driver, health = Refusing(MemorySettings()), BrokerHealth()
    outcomes = Outcomes("worker", EventStream([]))
    settler = Settler(driver, table, outcomes, health, refusal_limit=300)
    end(table, taken("a"), Outcome.RETRY)
    async with asyncio.timeout(20):
        while not waits:
            await asyncio.sleep(0.001)
        assert table.admit(taken("a", 2)) is not None  # delivered again: its outcome is gone
        table.release_buffer()
        again = table.send(1)
        table.answered(again)
        waits.clear()
        end(table, taken("b"), Outcome.DONE)
        while driver.calls < 6:
            await asyncio.sleep(0.001)
    assert len(waits) < 20
    assert not await settler.close(0)


def test_a_broker_that_was_away_meanwhile_has_not_refused_for_as_long() -> None:
    attempt = Attempt(taken("a"), "worker")
    held_back = HeldBack(limit=0.5)
    assert held_back.refuse(attempt)
    time.sleep(0.6)
    held_back.fail([attempt])
    assert held_back.refuse(attempt)
    time.sleep(0.6)
    assert not held_back.refuse(attempt)


def test_an_outcome_that_was_refused_is_kept_without_its_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused, now = RefusedOutcomes(), time.monotonic()
    big = taken("a", body=b"x" * 1000)
    refused.remember(Settlement(big, Outcome.DONE))
    kept = list(refused._outcomes.values())
    assert [one.delivery.body for _, one in kept] == [b""]
    monkeypatch.setattr(time, "monotonic", lambda: now + LIFETIME + 5)
    refused.remember(Settlement(taken("b"), Outcome.DONE))
    assert list(refused._outcomes) == [("b", "1")]
