"""FIFO queues: order, groups, and deduplication."""

import pytest

from asynctasq.drivers import Message, Outcome, Settlement, State
from asynctasq.errors import BrokerRejected

pytestmark = pytest.mark.anyio


@pytest.fixture
def fifo(queue: str) -> str:
    return f"{queue}.fifo"


def messages(queue: str, *ids: str) -> list[Message]:
    return [Message(one, queue, one.encode()) for one in ids]


async def take(driver, queue: str, limit: int = 10) -> list[str]:
    return [one.id for one in await driver.dequeue([queue], limit=limit, lease=60, wait=5)]


async def test_order_is_kept(driver, fifo: str) -> None:
    await driver.enqueue(messages(fifo, *"abc"))
    await driver.enqueue(messages(fifo, *"de"))
    assert await take(driver, fifo) == [*"abcde"]


async def test_an_id_is_stored_once(driver, fifo: str) -> None:
    await driver.enqueue(messages(fifo, "a", "odd id: ü"))
    await driver.enqueue(messages(fifo, "a", "odd id: ü", "b"))
    assert await take(driver, fifo) == ["a", "odd id: ü", "b"]


async def test_a_retry_holds_those_behind_it_back(driver, fifo: str) -> None:
    await driver.enqueue(messages(fifo, *"ab"))
    (first,) = await driver.dequeue([fifo], limit=1, lease=60, wait=5)
    assert await driver.dequeue([fifo], limit=1, lease=60, wait=0) == []
    await driver.settle([Settlement(first, Outcome.RETRY)])
    again = await driver.dequeue([fifo], limit=2, lease=60, wait=5)
    assert [(one.id, one.attempt) for one in again] == [("a", 2), ("b", 1)]


async def test_a_release_keeps_its_place(driver, fifo: str) -> None:
    await driver.enqueue(messages(fifo, *"ab"))
    (first,) = await driver.dequeue([fifo], limit=1, lease=60, wait=5)
    await driver.settle([Settlement(first, Outcome.RELEASE)])
    assert await take(driver, fifo, 1) == ["a"]


async def test_with_a_group_for_each_message_no_message_waits(driver_on, fifo: str) -> None:
    driver = driver_on(sqs_message_group="message")
    await driver.connect()
    await driver.enqueue(messages(fifo, *"ab"))
    assert await take(driver, fifo, 1) == ["a"]
    assert await take(driver, fifo, 1) == ["b"]
    await driver.disconnect()


async def test_a_dead_message_can_die_and_be_requeued_again(driver, fifo: str) -> None:
    await driver.enqueue(messages(fifo, "a"))
    for _ in range(2):
        (held,) = await driver.dequeue([fifo], limit=1, lease=60, wait=5)
        assert held.attempt == 1
        await driver.settle([Settlement(held, Outcome.DEAD, note="why")])
        (dead,) = await driver.browse(fifo, State.DEAD, limit=9)
        assert (dead.id, dead.body, dead.note) == ("a", b"a", "why")
        assert await driver.requeue(fifo, ["a"]) == ["a"]
    assert await take(driver, fifo) == ["a"]


async def test_a_delay_is_refused(driver, fifo: str) -> None:
    with pytest.raises(BrokerRejected, match=r"FIFO queue .* delays no single message"):
        await driver.enqueue([Message("a", fifo, b"", delay=1)])
