"""Dramatiq."""

import asyncio

import dramatiq
from common import CONCURRENCY, URL, Moments, main, tally
from dramatiq.brokers.redis import RedisBroker

broker = RedisBroker(url=URL)
dramatiq.set_broker(broker)


@dramatiq.actor
def noop() -> None:
    tally.hit()


@dramatiq.actor
def stamp(sent: float) -> None:
    tally.stamp(sent)


async def enqueue(count: int) -> None:
    for _ in range(count):  # it has no bulk call
        noop.send()


async def send(moments: Moments) -> None:
    async for sent in moments:
        stamp.send(sent)


async def work() -> None:
    dramatiq.Worker(broker, worker_threads=CONCURRENCY).start()
    await asyncio.Event().wait()


main(enqueue, send, work)
