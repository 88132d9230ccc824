"""arq."""

import asyncio

from arq import Worker, create_pool, func
from arq.connections import RedisSettings
from common import CONCURRENCY, URL, Moments, main, tally

settings = RedisSettings.from_dsn(URL)


async def noop(ctx: object) -> None:
    tally.hit()


async def stamp(ctx: object, sent: float) -> None:
    tally.stamp(sent)


async def enqueue(count: int) -> None:
    pool = await create_pool(settings)
    for _ in range(0, count, 100):  # it has no bulk call
        await asyncio.gather(*(pool.enqueue_job("noop") for _ in range(100)))


async def send(moments: Moments) -> None:
    pool = await create_pool(settings)
    async for sent in moments:
        await pool.enqueue_job("stamp", sent)


async def work() -> None:
    functions = [func(noop, keep_result=0), func(stamp, keep_result=0)]
    await Worker(functions, redis_settings=settings, max_jobs=CONCURRENCY).async_run()


main(enqueue, send, work)
