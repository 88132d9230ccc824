"""arq."""

import bodies
from arq import Worker, create_pool, func
from arq.connections import RedisSettings
from common import CONCURRENCY, URL, Moments, by_hundreds, main

settings = RedisSettings.from_dsn(URL)


async def noop(ctx: object) -> None:
    await bodies.async_noop()


async def stamp(ctx: object, sent: float) -> None:
    await bodies.stamp(sent)


async def enqueue(count: int) -> None:
    pool = await create_pool(settings)
    await by_hundreds(count, lambda: pool.enqueue_job("noop"))


async def send(moments: Moments) -> None:
    pool = await create_pool(settings)
    async for sent in moments:
        await pool.enqueue_job("stamp", sent)


async def work() -> None:
    functions = [func(noop, keep_result=0), func(stamp, keep_result=0)]
    await Worker(functions, redis_settings=settings, max_jobs=CONCURRENCY).async_run()


main(enqueue, send, work)
