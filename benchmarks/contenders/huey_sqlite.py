"""Huey on SQLite."""

import asyncio

from common import CONCURRENCY, URL, Moments, main, tally
from huey import SqliteHuey

huey = SqliteHuey(filename=URL.removeprefix("sqlite:///"), results=False)


@huey.task()
def noop() -> None:
    tally.hit()


@huey.task()
def stamp(sent: float) -> None:
    tally.stamp(sent)


async def enqueue(count: int) -> None:
    for _ in range(count):  # it has no bulk call
        noop()


async def send(moments: Moments) -> None:
    async for sent in moments:
        stamp(sent)


async def work() -> None:
    huey.create_consumer(workers=CONCURRENCY, worker_type="thread", periodic=False).start()
    await asyncio.Event().wait()


main(enqueue, send, work)
