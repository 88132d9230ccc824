"""A healthy queue of two workers, with and without poison beside it, and the ratio of both.

``python -m benchmarks.poison``: the poison are calls that kill their process, each with one attempt
left, in a queue that the same workers serve first. The workers, the healthy calls and the Redis
server, which is the measurement's own, are the same with and without; the rounds alternate.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from asynctasq import Config, DriverFactory
from asynctasq.drivers import Message, QueueStats
from asynctasq.serialization import Envelope, EnvelopeCodec, MsgpackSerializer
from benchmarks.processes import own_seconds
from benchmarks.servers import RedisServer

POISON, HEALTHY = "poison", "default"
WORKERS = 2
#: Seconds after which a round hangs.
PATIENCE = 600.0
#: Seconds, and processor seconds of the workers without their children.
Figures = tuple[float, float]
TASKS = """
import asyncio, os
from asynctasq import task


@task
async def noop():
    pass


@task
async def nap():
    await asyncio.sleep(0.05)


@task(max_attempts=2)
async def kill():
    os.kill(os.getpid(), 9)
"""
_WORKER = ("-m", "asynctasq", "worker", "--log-level", "error", "--concurrency", "100")


def main() -> None:
    """Measure, and print."""
    options = _options()
    figures: dict[int, list[Figures]] = {0: [], options.poison: []}
    for number in range(options.rounds):
        for poison in figures if number % 2 == 0 else reversed(figures):
            figures[poison].append(_round(poison, options.tasks, options.task))
    print(f"{options.tasks:,} {options.task} tasks, median of {options.rounds}")
    for place, name in enumerate(("seconds", "workers' processor seconds")):
        alone, beside = (median(one[place] for one in each) for each in figures.values())
        ratio = beside / alone
        print(f"{name}: {alone:.2f}, beside {options.poison:,}: {beside:.2f}, ratio {ratio:.2f}")


def _round(poison: int, tasks: int, task: str) -> Figures:
    """The figures from the first healthy task's end to the last one's."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = RedisServer(folder)
        stack.callback(server.close)
        Path(folder, "tasks.py").write_text(TASKS)
        asyncio.run(_fill(server.url, poison, tasks, task))
        workers = [_start(server.url, folder) for _ in range(WORKERS)]
        for worker in workers:
            stack.callback(_end, worker)
        return asyncio.run(_watch(server.url, tasks, [worker.pid for worker in workers]))


def _start(url: str, folder: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "ASYNCTASQ_DRIVER": "redis", "ASYNCTASQ_REDIS_URL": url}
    command = [sys.executable, *_WORKER, "--queues", f"{POISON},{HEALTHY}"]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL)


def _end(worker: "subprocess.Popen[bytes]") -> None:
    worker.terminate()
    worker.wait()


async def _fill(url: str, poison: int, tasks: int, task: str) -> None:
    async with _Driver(url) as driver:
        await driver.enqueue(_messages(POISON, "kill", poison))
        taken = 0
        while taken < poison:  # the first attempt of each ends without an outcome
            taken += len(await driver.dequeue([POISON], limit=1000, lease=1, wait=1))
        await driver.enqueue(_messages(HEALTHY, task, tasks))
        await _until(lambda: _counts(driver, POISON), lambda stats: stats.ready == poison)


async def _watch(url: str, tasks: int, workers: Sequence[int]) -> Figures:
    async with _Driver(url) as driver, asyncio.timeout(PATIENCE):
        await _until(lambda: _counts(driver, HEALTHY), lambda stats: stats.unfinished < tasks)
        started, used = time.perf_counter(), sum(map(own_seconds, workers))
        await _until(lambda: _counts(driver, HEALTHY), lambda stats: not stats.unfinished)
        return time.perf_counter() - started, sum(map(own_seconds, workers)) - used


async def _until(
    ask: Callable[[], Awaitable[QueueStats]], enough: Callable[[QueueStats], bool]
) -> None:
    while not enough(await ask()):  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.01)


async def _counts(driver: Any, queue: str) -> QueueStats:
    stats: QueueStats = (await driver.counts([queue]))[0]
    return stats


class _Driver:
    """A connected driver, while it is entered."""

    def __init__(self, url: str) -> None:
        config = Config(driver="redis", redis_url=url)
        self._driver: Any = DriverFactory.create_from_config(config)

    async def __aenter__(self) -> Any:
        await self._driver.connect()
        return self._driver

    async def __aexit__(self, *_: object) -> None:
        await self._driver.disconnect()


def _messages(queue: str, task: str, count: int) -> Sequence[Message]:
    body = EnvelopeCodec(MsgpackSerializer()).encode(Envelope(f"tasks:{task}", (), {}))
    return [Message(os.urandom(8).hex(), queue, body) for _ in range(count)]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.poison")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=30_000, help="healthy ones")
    parser.add_argument("--task", choices=["noop", "nap"], default="noop", help="what they do")
    parser.add_argument("--poison", type=int, default=1000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
