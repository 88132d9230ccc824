"""Outcomes of messages whose connection was lost, and which the broker has redelivered."""

import asyncio

import pytest

from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq_rabbitmq.dequeue import give_back

pytestmark = pytest.mark.anyio


async def twice(driver, proxy, take, queue: str):
    """A delivery whose connection was lost, and the one after it."""
    await driver.enqueue([Message("id", queue, b"")])
    first = await take(driver, queue)
    proxy.cut()
    return first, await take(driver, queue)


@pytest.mark.flakiest
@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.DEAD])
async def test_an_outcome_ends_a_message_that_nobody_took_since(
    driver, proxy, take, outcome
) -> None:
    first, second = await twice(driver, proxy, take, f"back-{outcome.value}")

    async def settle_after_it_came_back():
        give_back([second])
        return await driver._session._settler.settle([Settlement(first, outcome, note="why")])

    assert list(await driver._session.run(settle_after_it_came_back)) == []
    assert not await driver.dequeue([first.queue], limit=1, lease=60, wait=1)
    async with asyncio.timeout(20):
        while True:
            (stats,) = await driver.counts([first.queue])
            if (stats.ready, stats.dead) == (0, int(outcome is Outcome.DEAD)):
                break
            await asyncio.sleep(0.05)


@pytest.mark.flakiest
async def test_an_outcome_comes_too_late_for_a_message_that_was_taken_since(
    driver, proxy, take
) -> None:
    first, second = await twice(driver, proxy, take, "taken")
    assert list(await driver.settle([Settlement(first, Outcome.DONE)])) == [first]
    assert not await driver.settle([Settlement(second, Outcome.DONE)])


@pytest.mark.flakiest
async def test_an_outcome_ends_a_message_that_is_handed_back(driver, proxy, take) -> None:
    first, second = await twice(driver, proxy, take, "handed-back")
    session = driver._session

    async def settle_while_it_is_handed_back():
        give_back([second])
        consumer = await session.consumer(first.queue)
        back = await consumer.pause()
        lost = await session._settler.settle([Settlement(first, Outcome.DONE)])
        await session._settler.give_back(back, counts=False)
        return lost

    assert list(await session.run(settle_while_it_is_handed_back)) == []
    assert not await driver.dequeue([first.queue], limit=1, lease=60, wait=1)
