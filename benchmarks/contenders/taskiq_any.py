"""taskiq, whatever its broker."""

import bodies
from common import CONCURRENCY, Moments, by_hundreds, main
from taskiq import AsyncBroker
from taskiq.api import run_receiver_task


def measure(broker: AsyncBroker) -> None:
    """Do what the command line says with `broker`."""
    noop = broker.register_task(bodies.noop)
    stamp = broker.register_task(bodies.stamp)

    async def enqueue(count: int) -> None:
        await broker.startup()
        await by_hundreds(count, noop.kiq)

    async def send(moments: Moments) -> None:
        await broker.startup()
        async for sent in moments:
            await stamp.kiq(sent)

    async def work() -> None:
        broker.is_worker_process = True
        await broker.startup()
        await run_receiver_task(broker, max_async_tasks=CONCURRENCY)

    main(enqueue, send, work)
