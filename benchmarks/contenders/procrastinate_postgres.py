"""Procrastinate."""

import bodies
from common import CONCURRENCY, URL, Moments, main
from procrastinate import App, PsycopgConnector

CONNECTIONS = 20  # psycopg's pool has four, unless it is told otherwise

app = App(connector=PsycopgConnector(conninfo=URL, min_size=4, max_size=CONNECTIONS))
noop = app.task(name="noop")(bodies.noop)
stamp = app.task(name="stamp")(bodies.stamp)


async def prepare() -> None:
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


async def enqueue(count: int) -> None:
    async with app.open_async():
        for start in range(0, count, 1000):
            await noop.batch_defer_async(*({} for _ in range(min(1000, count - start))))


async def put() -> None:
    await noop.defer_async()


async def send(moments: Moments) -> None:
    async with app.open_async():
        async for sent in moments:
            await stamp.defer_async(sent=sent)


async def work() -> None:
    async with app.open_async():
        await app.run_worker_async(
            concurrency=CONCURRENCY, delete_jobs="always", install_signal_handlers=False
        )


main(enqueue, send, work, prepare, put)
