"""Dramatiq, whatever its broker."""

import asyncio

import dramatiq
from bodies import sync_noop, sync_stamp
from common import CONCURRENCY, NAME, Moments, main


def measure(broker: dramatiq.Broker) -> None:
    """Do what the command line says with `broker`."""
    dramatiq.set_broker(broker)
    noop = dramatiq.actor(sync_noop, queue_name=NAME)
    stamp = dramatiq.actor(sync_stamp, queue_name=NAME)

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
