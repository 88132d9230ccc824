"""taskiq with Redis streams."""

import asyncio

from common import CONCURRENCY, URL, Moments, main, tally
from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

broker = RedisStreamBroker(url=URL)


@broker.task
async def noop() -> None:
    tally.hit()


@broker.task
async def stamp(sent: float) -> None:
    tally.stamp(sent)


async def enqueue(count: int) -> None:
    await broker.startup()
    for _ in range(0, count, 100):  # it has no bulk call
        await asyncio.gather(*(noop.kiq() for _ in range(100)))


async def send(moments: Moments) -> None:
    await broker.startup()
    async for sent in moments:
        await stamp.kiq(sent)


async def work() -> None:
    broker.is_worker_process = True
    await broker.startup()
    await run_receiver_task(broker, max_async_tasks=CONCURRENCY)


main(enqueue, send, work)
