"""Which deliveries are marked as abandoned, beyond the contract."""

import asyncio
from struct import pack

import pytest

from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq.errors import BrokerUnavailable
from asynctasq_rabbitmq.content import (
    ABANDONED,
    ATTEMPTS,
    REDELIVERED,
    Content,
    decode_properties,
    encode_content,
)
from asynctasq_rabbitmq.link import Link
from asynctasq_rabbitmq.names import Names
from asynctasq_rabbitmq.publisher import Fate, Publication, Publisher

pytestmark = pytest.mark.anyio


async def test_a_lost_connection_abandons(driver, other, proxy, take) -> None:
    await driver.enqueue([Message("id", "cut-off", b"")])
    assert not (await take(driver, "cut-off")).abandoned
    proxy.cut()
    again = await take(other, "cut-off")
    assert (again.attempt, again.abandoned) == (2, True)


async def test_what_nobody_took_stays_what_it_was(driver, other, take) -> None:
    await driver.enqueue([Message("id", "untaken", b"")])
    (held,) = await driver.dequeue(["untaken"], limit=1, lease=0.2, wait=10)
    again = await take(driver, "untaken")
    assert again.abandoned
    await driver.dequeue(["other"], limit=1, lease=60, wait=0)
    await driver.settle(
        [Settlement(again, Outcome.RELEASE)]
    )  # pushed to this driver, and not taken
    async with asyncio.timeout(20):
        found = await take(other, "untaken")
    assert (found.id, found.attempt, found.abandoned) == (held.id, 2, True)


@pytest.mark.parametrize(
    ("outcome", "attempt", "abandoned"), [(Outcome.RETRY, 3, False), (Outcome.RELEASE, 2, True)]
)
async def test_a_delay_changes_nothing(
    driver, outcome, attempt: int, abandoned: bool, take
) -> None:
    await driver.enqueue([Message("id", "later", b"")])
    await driver.dequeue(["later"], limit=1, lease=0.2, wait=10)
    held = await take(driver, "later")
    await driver.settle([Settlement(held, outcome, delay=0.3)])
    again = await take(driver, "later")
    assert (again.attempt, again.abandoned) == (attempt, abandoned)


@pytest.mark.parametrize(("outcome", "attempt"), [(Outcome.RETRY, 2), (Outcome.RELEASE, 1)])
async def test_an_outcome_that_missed_its_connection_counts_as_one(
    driver, proxy, outcome, attempt: int, take
) -> None:
    await driver.enqueue([Message("id", "missed", b"")])
    held = await take(driver, "missed")
    proxy.cut()
    async with asyncio.timeout(20):
        while True:
            try:
                assert list(await driver.settle([Settlement(held, outcome)])) == []
                break
            except BrokerUnavailable:
                await asyncio.sleep(0.02)
    again = await take(driver, "missed")
    assert (again.attempt, again.abandoned) == (attempt, False)


async def test_odd_headers_are_no_obstacle(other, settings, take) -> None:
    link = Link(settings.url(), settings.location(), "asynctasq tests")
    await link.open()
    publisher = await Publisher.open(link)
    await other.dequeue(["odd"], limit=1, lease=60, wait=0)  # declares the queue
    odd = [
        {ABANDONED: "true", ATTEMPTS: "three"},
        {ABANDONED: 1, ATTEMPTS: -5},
        {ABANDONED: [True], ATTEMPTS: 2**63 - 1, REDELIVERED: {"a": 1}},
        {ABANDONED: None, ATTEMPTS: True},
    ]
    name = Names(settings.rabbitmq_exchange_name).queue("odd")
    items = [Publication("", name, str(i), b"body", headers) for i, headers in enumerate(odd)]
    assert set(await publisher.publish(items)) == {Fate.STORED}
    await link.close()
    for _ in odd:
        held = await take(other, "odd")
        assert (held.body, held.abandoned) == (b"body", False)
        assert held.attempt >= 1
        assert list(await other.settle([Settlement(held, Outcome.RETRY, delay=60)])) == []


def test_headers_that_cannot_be_decoded_are_none() -> None:
    def payload(entry: bytes) -> bytes:
        table = pack(">I", len(entry)) + entry
        whole = encode_content(1, "id", b"", {"a": 1}, 4096)[7:-1]
        before, after = whole[:14], whole[14 + 4 + 1 + 1 + 2 :]
        assert after == b"\x02\x02id"
        return before + table + after

    nested = b"\x01aF\x00\x00\x00\x00"
    for _ in range(5000):
        nested = b"\x01aF" + pack(">I", len(nested)) + nested
    for entry in (
        b"\x01aT" + pack(">Q", 2**63 - 1),  # a date beyond the calendar
        b"\x01aZ",  # an unknown type
        b"\xffa",  # truncated
        b"\x01\xffI" + pack(">I", 1),  # a name that is not UTF-8
        nested,
    ):
        message_id, headers = decode_properties(payload(entry))
        assert (message_id, headers) == ("id", {})
        assert Content(message_id, b"", headers).attempts == 0
