"""Queues that are deleted under a worker, and declared again by another client.

On a private server: RabbitMQ 3.10 can lose the supervisor of its dead-letter workers when a queue
is deleted within milliseconds of its declaration, and then makes no such queue for anybody.
"""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from pamqp import commands

from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq.errors import BrokerError, BrokerUnavailable
from asynctasq_rabbitmq import RabbitMQDriver, RabbitMQSettings
from asynctasq_rabbitmq.link import Link
from asynctasq_rabbitmq.names import Names

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

#: Seconds within which the queue must be consumed again.
PATIENCE = 20.0


@pytest.fixture
def settings(server, driver_on) -> RabbitMQSettings:
    """Settings for the private server."""
    return driver_on(server.url).settings


@pytest.fixture
async def worker(settings):
    """A driver that consumes."""
    async with connected(settings) as one:
        yield one


@pytest.fixture
async def producer(settings):
    """A driver of another process, which declares a queue again as soon as it is missing."""
    async with connected(settings) as one:
        yield one


@pytest.fixture
async def channel(settings):
    """A channel of another client, which deletes queues."""
    link = Link(settings.url(), settings.location(), "asynctasq tests")
    await link.open()
    yield await link.channel()
    await link.close()


@asynccontextmanager
async def connected(settings):
    driver = RabbitMQDriver(settings)
    await driver.connect()
    yield driver
    await driver.disconnect()


async def insist(call):
    """Return the result of a call that is retried while the queue is not ready."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await call()
            except BrokerUnavailable:
                await asyncio.sleep(0.02)


class Consuming:
    """``async with``: dequeues and settles messages of a queue; finished ids are in `done`."""

    def __init__(self, driver, queue: str, *, limit: int = 10, work: float = 0.0) -> None:
        self.done: dict[str, int] = {}
        self._driver, self._queue, self._limit, self._work = driver, queue, limit, work
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Consuming":
        self._start(self._take())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def until_done(self, ids: set[str]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not ids <= self.done.keys():
                await asyncio.sleep(0.02)

    def _start(self, work) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(lambda one: one.cancelled() or one.exception())

    async def _take(self) -> None:
        while True:
            with suppress(BrokerError):
                for one in await self._driver.dequeue(
                    [self._queue], limit=self._limit, lease=60, wait=30
                ):
                    self._start(self._run(one))

    async def _run(self, delivery) -> None:
        await asyncio.sleep(self._work)
        await insist(lambda: self._driver.settle([Settlement(delivery, Outcome.DONE)]))
        self.done[delivery.id] = delivery.attempt


async def delete(channel, settings, queue: str) -> None:
    name = Names(settings.rabbitmq_exchange_name).queue(queue)
    await channel.call(commands.Queue.Delete(queue=name), commands.Queue.DeleteOk)


async def stream(producer, queue: str, count: int, *, begin: int = 0) -> set[str]:
    """Enqueue messages one after the other."""
    stored = [Message(str(begin + number), queue, b"") for number in range(count)]
    for one in stored:
        await insist(lambda one=one: producer.enqueue([one]))
    return {one.id for one in stored}


@pytest.mark.parametrize("count", [3, 200])
async def test_what_is_enqueued_after_a_deletion_is_consumed(
    worker, producer, channel, settings, count: int
) -> None:
    """Also with fewer messages than the stale consumer swallows."""
    async with Consuming(worker, "again") as consuming:
        await consuming.until_done(await stream(producer, "again", 5))
        await delete(channel, settings, "again")
        await consuming.until_done(await stream(producer, "again", count, begin=100))
        assert len(consuming.done) == 5 + count


async def test_a_deletion_under_a_stream_is_survived(worker, producer, channel, settings) -> None:
    async with Consuming(worker, "stream", work=0.05) as consuming:
        before = asyncio.create_task(stream(producer, "stream", 100))
        await asyncio.sleep(0.05)
        await delete(channel, settings, "stream")
        await before
        await consuming.until_done(await stream(producer, "stream", 20, begin=1000))


async def test_repeated_deletions_are_survived(worker, producer, channel, settings) -> None:
    async with Consuming(worker, "often") as consuming:
        for number in range(4):
            for begin in (100 * number, 100 * number + 50):
                await consuming.until_done(await stream(producer, "often", 10, begin=begin))
            await delete(channel, settings, "often")
        await consuming.until_done(await stream(producer, "often", 10, begin=1000))


async def test_every_worker_of_the_queue_consumes_again(
    worker, producer, channel, settings
) -> None:
    async with connected(settings) as second:
        for one in (worker, second):  # each has credit, and would swallow messages
            assert list(await one.dequeue(["both"], limit=10, lease=60, wait=0.2)) == []
        async with Consuming(worker, "both") as first, Consuming(second, "both") as other:
            await delete(channel, settings, "both")
            ids = await stream(producer, "both", 60)
            async with asyncio.timeout(PATIENCE):
                while not ids <= first.done.keys() | other.done.keys():
                    await asyncio.sleep(0.02)


async def test_what_is_held_meanwhile_stays_held(worker, producer, channel, settings) -> None:
    await producer.enqueue([Message("long", "held-on", b"")])
    (held,) = await worker.dequeue(["held-on"], limit=5, lease=60, wait=10)
    async with Consuming(worker, "held-on") as consuming:
        async with asyncio.timeout(PATIENCE):  # a deletion during it ends the connection
            while worker._session._consumers["held-on"].credit < 9:
                await asyncio.sleep(0.01)
        await delete(channel, settings, "held-on")
        await consuming.until_done(await stream(producer, "held-on", 3))
        assert list(await worker.extend([held], lease=60)) == []
        items = [Settlement(held, Outcome.RETRY)]
        assert list(await insist(lambda: worker.settle(items))) == []
        await consuming.until_done({"long"})
        assert consuming.done["long"] == 2


async def test_a_mark_goes_with_its_connection(settings, producer, channel) -> None:
    async with connected(settings) as one:
        assert list(await one.dequeue(["marked"], limit=1, lease=60, wait=0)) == []
        topology, _ = await one._session.run(one._session.consuming)
        (name,) = topology._marks
        frame = commands.Exchange.Declare(exchange=name, passive=True)
        await channel.call(frame, commands.Exchange.DeclareOk)
    with pytest.raises(Exception, match="404"):
        await channel.call(frame, commands.Exchange.DeclareOk)


async def test_the_exchange_of_a_delay_is_made_again(producer, worker, channel, settings) -> None:
    names = Names(settings.rabbitmq_exchange_name)
    await producer.enqueue([Message("before", "delayed", b"", 0.05)])
    level = names.level(5)  # of 32 to 63 milliseconds
    await channel.call(commands.Exchange.Delete(exchange=level), commands.Exchange.DeleteOk)
    await producer.enqueue([Message("after", "delayed", b"", 0.05)])
    async with Consuming(worker, "delayed") as consuming:
        await consuming.until_done({"before", "after"})
