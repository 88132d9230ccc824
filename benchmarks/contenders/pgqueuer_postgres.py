"""PgQueuer, on asyncpg."""

import struct

import asyncpg
import bodies
from common import CONCURRENCY, URL, Moments, main
from pgqueuer import PgQueuer, Queries
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job

SENT = struct.Struct("d")
#: Without a limit its query is cheaper, so it has one only for tasks that last: twice the batch.
OPTIONS = (
    {"batch_size": CONCURRENCY // 2, "max_concurrent_tasks": CONCURRENCY}
    if bodies.TASK == "nap"
    else {"batch_size": CONCURRENCY}
)


async def noop(job: Job) -> None:
    await bodies.async_noop()


async def stamp(job: Job) -> None:
    await bodies.stamp(*SENT.unpack(job.payload))


async def open_queries() -> Queries:
    return Queries(AsyncpgDriver(await asyncpg.connect(URL)))


async def prepare() -> None:
    await (await open_queries()).install()


async def enqueue(count: int) -> None:
    queries = await open_queries()
    for start in range(0, count, 1000):
        size = min(1000, count - start)
        await queries.enqueue(["noop"] * size, [None] * size, [0] * size)


async def send(moments: Moments) -> None:
    queries = await open_queries()
    async for sent in moments:
        await queries.enqueue("stamp", SENT.pack(sent))


async def work() -> None:
    pgq = PgQueuer(AsyncpgDriver(await asyncpg.connect(URL)))
    pgq.entrypoint("noop")(noop)
    pgq.entrypoint("stamp")(stamp)
    await pgq.run(**OPTIONS)


main(enqueue, send, work, prepare)
