"""SAQ."""

import asyncio

from common import CONCURRENCY, URL, Moments, main, tally
from redis.asyncio import Redis
from saq import Worker
from saq.queue.redis import RedisQueue

# redis-py's own limit is 100 connections: at concurrency 100, acknowledgements would fail
queue = RedisQueue(Redis.from_url(URL, max_connections=1000))
NO_RESULT = -1


async def noop(ctx: object) -> None:
    tally.hit()


async def stamp(ctx: object, *, sent: float) -> None:
    tally.stamp(sent)


async def enqueue(count: int) -> None:
    for _ in range(0, count, 100):  # it has no bulk call
        await asyncio.gather(*(queue.enqueue("noop", ttl=NO_RESULT) for _ in range(100)))


async def send(moments: Moments) -> None:
    async for sent in moments:
        await queue.enqueue("stamp", sent=sent, ttl=NO_RESULT)


async def work() -> None:
    await queue.connect()
    functions = [("noop", noop), ("stamp", stamp)]
    await Worker(queue, functions=functions, concurrency=CONCURRENCY).start()


main(enqueue, send, work)
