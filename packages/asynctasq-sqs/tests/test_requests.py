"""How many requests the work costs: SQS is paid by the request."""

import asyncio

import pytest

from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq_sqs import receive_buffer

pytestmark = pytest.mark.anyio


def messages(queue: str, count: int) -> list[Message]:
    return [Message(f"{queue}-{number}", queue, b"body") for number in range(count)]


def done(deliveries) -> list[Settlement]:
    return [Settlement(one, Outcome.DONE) for one in deliveries]


def polls(proxy) -> list[tuple[int, int]]:
    """The wait in seconds and the message limit of each receive."""
    return [
        (body["WaitTimeSeconds"], body["MaxNumberOfMessages"])
        for action, body in proxy.calls
        if action == "ReceiveMessage"
    ]


@pytest.fixture
async def warm(proxied, proxy, queue: str):
    """A driver that has looked up the queue."""
    await proxied.enqueue(messages(queue, 1))
    await proxied.settle(done(await proxied.dequeue([queue], limit=1, lease=30, wait=5)))
    proxy.calls.clear()
    return proxied


async def test_full_batches_cost_three_requests_for_ten_tasks(warm, proxy, queue: str) -> None:
    await warm.enqueue(messages(queue, 100))
    taken = 0
    while taken < 100:
        batch = await warm.dequeue([queue], limit=min(50, 100 - taken), lease=30, wait=5)
        assert await warm.settle(done(batch)) == []
        taken += len(batch)
    assert proxy.count() <= 0.35 * 100


async def test_an_idle_queue_costs_one_long_poll_at_a_time(warm, proxy, queue: str, until) -> None:
    queues = [queue, f"{queue}-2"]
    for _ in range(3):
        waiting = [
            asyncio.create_task(warm.dequeue(queues, limit=10, lease=30, wait=20)) for _ in range(3)
        ]
        await until(lambda: len([wait for wait, _ in polls(proxy) if wait]) == 2)
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)
    assert [wait for wait, _ in polls(proxy) if wait] == [20, 20]


async def test_no_more_messages_are_requested_than_the_limit(warm, proxy, queue: str) -> None:
    await warm.enqueue(messages(queue, 30))
    for limit in (3, 10, 15):
        before = len(polls(proxy))
        await warm.dequeue([queue], limit=limit, lease=30, wait=5)
        assert sum(count for _, count in polls(proxy)[before:]) <= limit


async def test_a_full_queue_is_received_from_by_several_polls(warm, proxy, queue: str) -> None:
    await warm.enqueue(messages(queue, 110))
    sizes = [len(await warm.dequeue([queue], limit=50, lease=30, wait=5)) for _ in range(4)]
    assert sizes == [10, 20, 40, 40]


async def test_a_short_wait_is_a_short_poll(warm, proxy, queue: str) -> None:
    assert await warm.dequeue([queue], limit=1, lease=30, wait=1.5) == []
    assert {wait for wait, _ in polls(proxy)} == {2}


async def test_the_messages_of_a_cancelled_dequeue_go_to_the_next(
    warm, proxy, queue: str, until
) -> None:
    waiting = asyncio.create_task(warm.dequeue([queue], limit=10, lease=30, wait=20))
    await until(lambda: polls(proxy))
    waiting.cancel()
    await asyncio.wait([waiting])
    await warm.enqueue(messages(queue, 3))
    taken = await warm.dequeue([queue], limit=10, lease=30, wait=20)
    assert [one.attempt for one in taken] == [1] * len(taken)
    assert taken
    assert proxy.count("ReceiveMessage") == 1


async def test_buffered_messages_are_released_and_count_no_attempt(
    warm, driver, proxy, queue: str, until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive_buffer, "KEPT", 0.05)
    waiting = asyncio.create_task(warm.dequeue([queue], limit=1, lease=60, wait=20))
    await until(lambda: polls(proxy))
    waiting.cancel()
    await asyncio.wait([waiting])
    await driver.enqueue(messages(queue, 1))
    await until(lambda: proxy.count("DeleteMessageBatch"))
    (taken,) = await driver.dequeue([queue], limit=1, lease=60, wait=10)
    assert taken.attempt == 1


async def test_a_disconnect_releases_buffered_messages(
    warm, driver, proxy, queue: str, until
) -> None:
    waiting = asyncio.create_task(warm.dequeue([queue], limit=1, lease=60, wait=20))
    await until(lambda: polls(proxy))
    waiting.cancel()
    await asyncio.wait([waiting])
    (poll,) = warm.session.receiver._long.values()
    await driver.enqueue(messages(queue, 1))
    await until(poll.done)
    await warm.disconnect()
    (taken,) = await driver.dequeue([queue], limit=1, lease=60, wait=10)
    assert taken.attempt == 1


async def test_messages_received_for_another_lease_are_extended(
    warm, driver, proxy, queue: str, until
) -> None:
    waiting = asyncio.create_task(warm.dequeue([queue], limit=1, lease=2, wait=20))
    await until(lambda: polls(proxy))
    waiting.cancel()
    await asyncio.wait([waiting])
    await driver.enqueue(messages(queue, 1))
    (taken,) = await warm.dequeue([queue], limit=1, lease=60, wait=20)
    assert proxy.count("ChangeMessageVisibilityBatch") == 1
    assert await driver.dequeue([queue], limit=1, lease=60, wait=3) == []
    assert await warm.settle(done([taken])) == []


async def test_the_prefix_saves_the_request_for_the_url(proxy, driver_on, queue: str) -> None:
    prefix = f"{proxy.url}/123456789012/"
    driver = driver_on(sqs_endpoint_url=proxy.url, sqs_queue_url_prefix=prefix)
    await driver.connect()
    await driver.enqueue(messages(queue, 1))
    assert proxy.count("GetQueueUrl") == 0
    sent = [body["QueueUrl"] for action, body in proxy.calls if action == "SendMessageBatch"]
    assert set(sent) == {prefix + queue}
    await driver.disconnect()


async def test_the_prefix_keeps_applications_apart(proxy, driver_on, queue: str) -> None:
    url = f"{proxy.url}/123456789012/"
    shop, other = (
        driver_on(sqs_endpoint_url=proxy.url, sqs_queue_url_prefix=f"{url}{name}-")
        for name in ("shop", "other")
    )
    async with asyncio.timeout(20):
        await shop.connect()
        await other.connect()
        await shop.enqueue(messages(queue, 1))
        assert await other.dequeue([queue], limit=1, lease=60, wait=0) == []
        assert [one.queue for one in await shop.queues()] == [queue]
        assert await other.queues() == []
        assert len(await shop.dequeue([queue], limit=1, lease=60, wait=5)) == 1
        await shop.disconnect()
        await other.disconnect()


async def test_an_empty_batch_costs_nothing(warm, proxy) -> None:
    await warm.enqueue([])
    assert await warm.settle([]) == []
    assert await warm.extend([], lease=30) == []
    assert await warm.counts([]) == []
    assert proxy.count() == 0
