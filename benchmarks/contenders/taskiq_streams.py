"""taskiq with Redis streams: at least once."""

import asyncio
import logging
import os

from common import Clock, Countdown, main
from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

logging.disable(logging.WARNING)
CONCURRENCY = int(os.environ.get("BENCHMARK_CONCURRENCY", "100"))
countdown = Countdown()
broker = RedisStreamBroker(url=os.environ["BENCHMARK_URL"])


@broker.task
async def noop() -> None:
    """Count."""
    countdown.hit()


async def enqueue(count: int) -> None:
    """It has no bulk call: a hundred at once."""
    await broker.startup()
    for _ in range(0, count, 100):
        await asyncio.gather(*(noop.kiq() for _ in range(100)))
    await broker.shutdown()


async def work(count: int) -> Clock:
    """One receiver."""
    broker.is_worker_process = True
    await broker.startup()
    countdown.start(count)
    running = asyncio.create_task(run_receiver_task(broker, max_async_tasks=CONCURRENCY))
    await countdown.done.wait()
    running.cancel()
    await asyncio.wait([running], timeout=5)
    return countdown.clock


main(enqueue, work)
