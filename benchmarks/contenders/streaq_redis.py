"""streaQ."""

from common import CONCURRENCY, URL, Moments, main, tally
from streaq import Worker

worker = Worker(redis_url=URL, concurrency=CONCURRENCY)
NO_RESULT = 0


@worker.task(ttl=NO_RESULT)
async def noop() -> None:
    tally.hit()


@worker.task(ttl=NO_RESULT)
async def stamp(sent: float) -> None:
    tally.stamp(sent)


async def enqueue(count: int) -> None:
    async with worker:
        for _ in range(0, count, 1000):
            await worker.enqueue_many([noop.enqueue() for _ in range(1000)])


async def send(moments: Moments) -> None:
    async with worker:
        async for sent in moments:
            await stamp.enqueue(sent)


async def work() -> None:
    await worker.run_async()


main(enqueue, send, work)
