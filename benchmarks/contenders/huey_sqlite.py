"""Huey on SQLite: at most once, synchronous."""

import asyncio
import logging
import os

from common import Clock, Countdown, main
from huey import SqliteHuey

logging.disable(logging.INFO)
countdown = Countdown()
huey = SqliteHuey(filename=os.environ["BENCHMARK_URL"].removeprefix("sqlite:///"), results=False)


@huey.task()
def noop() -> None:
    """Count."""
    loop.call_soon_threadsafe(countdown.hit)


async def enqueue(count: int) -> None:
    """It has no bulk call: one by one."""
    for _ in range(count):
        noop()


async def work(count: int) -> Clock:
    """One consumer with ten threads."""
    global loop
    loop = asyncio.get_running_loop()
    consumer = huey.create_consumer(workers=10, worker_type="thread", periodic=False)
    countdown.start(count)
    consumer.start()
    await countdown.done.wait()
    consumer.stop_flag.set()
    return countdown.clock


loop: asyncio.AbstractEventLoop
main(enqueue, work)
