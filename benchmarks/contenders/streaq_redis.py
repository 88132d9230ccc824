"""streaQ."""

import bodies
from common import CONCURRENCY, URL, Moments, main
from streaq import Worker

worker = Worker(redis_url=URL, concurrency=CONCURRENCY)
NO_RESULT = 0
noop = worker.task(ttl=NO_RESULT)(bodies.noop)
stamp = worker.task(ttl=NO_RESULT)(bodies.stamp)


async def enqueue(count: int) -> None:
    async with worker:
        for start in range(0, count, 1000):
            size = min(1000, count - start)
            await worker.enqueue_many([noop.enqueue() for _ in range(size)])


async def put() -> None:
    await noop.enqueue()


async def send(moments: Moments) -> None:
    async with worker:
        async for sent in moments:
            await stamp.enqueue(sent)


async def work() -> None:
    await worker.run_async()


main(enqueue, send, work, put=put)
