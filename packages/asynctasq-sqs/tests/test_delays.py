"""Delays beyond the 15 minutes of SQS, and retries beyond its visibility timeout."""

import asyncio
import time

import pytest

from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq.errors import BrokerRejected
from asynctasq_sqs import leases as lease
from asynctasq_sqs import messages

pytestmark = pytest.mark.anyio


@pytest.fixture
def short_hops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "HOP", 1)


async def test_a_long_delay_is_made_of_hops(short_hops, proxied, proxy, queue: str) -> None:
    started = time.monotonic()
    await proxied.enqueue([Message("late", queue, b"body", delay=3)])
    (taken,) = await proxied.dequeue([queue], limit=10, lease=30, wait=20)
    assert 2.9 <= time.monotonic() - started < 8
    assert (taken.id, taken.body, taken.attempt) == ("late", b"body", 1)
    assert proxy.count("SendMessageBatch") >= 3
    assert await proxied.settle([Settlement(taken, Outcome.DONE)]) == []
    assert await proxied.dequeue([queue], limit=10, lease=30, wait=1.5) == []


async def test_no_worker_needs_to_run_meanwhile(short_hops, driver, queue: str) -> None:
    started = time.monotonic()
    await driver.enqueue([Message("late", queue, b"body", delay=4)])
    await asyncio.sleep(2.5)
    (taken,) = await driver.dequeue([queue], limit=10, lease=30, wait=20)
    assert 3.9 <= time.monotonic() - started < 8
    assert taken.attempt == 1


async def test_an_overdue_message_is_delivered_at_once(short_hops, driver, queue: str) -> None:
    await driver.enqueue([Message("late", queue, b"body", delay=1.5)])
    await asyncio.sleep(3)
    (taken,) = await driver.dequeue([queue], limit=10, lease=30, wait=0)
    assert taken.attempt == 1


@pytest.mark.parametrize("outcome", [Outcome.RETRY, Outcome.RELEASE])
async def test_a_retry_may_be_later_than_sqs_can_hide_a_message(
    monkeypatch: pytest.MonkeyPatch, short_hops, driver, queue: str, outcome: Outcome
) -> None:
    monkeypatch.setattr(lease, "LONGEST", lease.SPARE + 1)
    await driver.enqueue([Message("late", queue, b"body")])
    (taken,) = await driver.dequeue([queue], limit=1, lease=30, wait=5)
    started = time.monotonic()
    assert await driver.settle([Settlement(taken, outcome, delay=3)]) == []
    (again,) = await driver.dequeue([queue], limit=1, lease=30, wait=20)
    assert time.monotonic() - started >= 2.9
    assert again.attempt == (2 if outcome is Outcome.RETRY else 1)


async def test_no_lease_is_longer_than_sqs_can_hide_a_message(
    monkeypatch: pytest.MonkeyPatch, driver, queue: str
) -> None:
    await driver.enqueue([Message("long", queue, b"body")])
    (taken,) = await driver.dequeue([queue], limit=1, lease=30, wait=5)
    monkeypatch.setattr(lease, "LONGEST", lease.SPARE)
    assert await driver.extend([taken], lease=30) == [taken]


@pytest.mark.parametrize("delay", [-1, float("inf"), float("nan")])
async def test_an_invalid_delay_is_refused(driver, queue: str, delay: float) -> None:
    with pytest.raises(BrokerRejected, match="delay"):
        await driver.enqueue([Message("id", queue, b"", delay)])
