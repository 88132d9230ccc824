"""What an idle worker costs, and how soon it starts a task."""

import asyncio
import logging
import time
from dataclasses import dataclass
from statistics import median, quantiles

import redis

from asynctasq import Config, DriverFactory, Worker, init, task
from asynctasq.core.client import client
from benchmarks.servers import fresh_broker

SAMPLES = 200
IDLE_SECONDS = 15.0

started: list[float] = []


@task(name="benchmark.touch")
async def touch(sent: float) -> None:
    """Take the time."""
    started.append(time.perf_counter() - sent)


@dataclass(frozen=True, slots=True)
class Idle:
    """Commands a second, and milliseconds."""

    commands: float
    median: float
    p95: float


def measure_idle() -> Idle:
    """Measure one worker on a server of its own."""
    logging.disable(logging.INFO)
    with fresh_broker("redis") as url:
        return asyncio.run(_measure(init(url=url), url))


async def _measure(config: Config, url: str) -> Idle:
    worker = Worker(DriverFactory.create_from_config(config), handle_signals=False)
    running = asyncio.create_task(worker.start())
    await touch(time.perf_counter()).dispatch()
    with redis.Redis.from_url(url) as server:
        await asyncio.sleep(1)
        before = _commands(server)
        await asyncio.sleep(IDLE_SECONDS)
        commands = (_commands(server) - before) / IDLE_SECONDS
    started.clear()
    for _ in range(SAMPLES):
        await touch(time.perf_counter()).dispatch()
        await asyncio.sleep(0.01)
    await worker.stop()
    await running
    await client.close()
    times = sorted(1000 * one for one in started)
    return Idle(commands, median(times), quantiles(times, n=20)[-1])


def _commands(server: redis.Redis) -> int:
    """Commands that clients sent; the statistics count what scripts call, too."""
    stats = server.info("commandstats")
    sent = ("cmdstat_evalsha", "cmdstat_bzpopmin", "cmdstat_client", "cmdstat_ping")
    return sum(value["calls"] for name, value in stats.items() if name.startswith(sent))  # type: ignore[union-attr]
