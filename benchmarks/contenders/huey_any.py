"""Huey, whatever it stores in."""

import asyncio

from bodies import sync_noop, sync_stamp
from common import CONCURRENCY, Moments, main
from huey import Huey


def measure(huey: Huey) -> None:
    """Do what the command line says with `huey`."""
    noop = huey.task()(sync_noop)
    stamp = huey.task()(sync_stamp)

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
