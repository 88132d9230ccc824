"""SAQ: at least once."""

import asyncio
import logging
import os

from common import Clock, Countdown, main
from saq import Queue, Worker

logging.disable(logging.INFO)
CONCURRENCY = int(os.environ.get("BENCHMARK_CONCURRENCY", "100"))
countdown = Countdown()


async def noop(ctx: object) -> None:
    """Count."""
    countdown.hit()


async def enqueue(count: int) -> None:
    """It has no bulk call: a hundred at once."""
    queue = Queue.from_url(os.environ["BENCHMARK_URL"])
    await queue.connect()
    for _ in range(0, count, 100):
        await asyncio.gather(*(queue.enqueue("noop") for _ in range(100)))
    await queue.disconnect()


async def work(count: int) -> Clock:
    """One worker."""
    queue = Queue.from_url(os.environ["BENCHMARK_URL"])
    await queue.connect()
    worker = Worker(queue, functions=[("noop", noop)], concurrency=CONCURRENCY)
    countdown.start(count)
    running = asyncio.create_task(worker.start())
    await countdown.done.wait()
    worker.event.set()
    await asyncio.wait([running], timeout=5)
    return countdown.clock


main(enqueue, work)
