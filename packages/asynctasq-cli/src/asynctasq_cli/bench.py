"""``asynctasq bench``: measures how fast the configured broker stores and runs no-op tasks."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any

import rich_click as click

from asynctasq import Config, DriverFactory, TaskCall, Worker, dispatch_many, init, run
from asynctasq.drivers import BaseDriver, Inspector, State
from asynctasq_cli.connection import connected
from asynctasq_cli.options import config_options, make_config
from asynctasq_cli.output import print_json, print_rows

BATCH = 1000
#: Tasks sent to an idle worker, and the seconds between them.
STAMPS, PAUSE = 100, 0.02
#: Seconds within which all of them must start.
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Figures:
    """The measured figures; latencies are in milliseconds."""

    enqueued_in_bulk_per_second: float
    enqueued_one_by_one_per_second: float
    run_per_second: float
    processor_us_per_task: float
    start_median_ms: float
    start_p95_ms: float


TITLES = {
    "enqueued_in_bulk_per_second": "enqueued in bulk, tasks/s",
    "enqueued_one_by_one_per_second": "enqueued one by one, tasks/s",
    "run_per_second": "run by one worker, tasks/s",
    "processor_us_per_task": "worker's processor time, µs/task",
    "start_median_ms": "from dispatch to start, median ms",
    "start_p95_ms": "from dispatch to start, 95th percentile ms",
}


@click.command()
@click.option("--tasks", type=click.IntRange(100), default=10_000, show_default=True,
              help="Number of no-op tasks.")  # fmt: skip
@click.option("--concurrency", type=click.IntRange(1), default=100, show_default=True,
              help="Tasks running at once.")  # fmt: skip
@click.option("--queue", default="asynctasq-bench", show_default=True,
              help="Queue to use; must be empty.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_options
def bench(tasks: int, concurrency: int, queue: str, as_json: bool, **options: Any) -> None:
    """Measure this machine and the configured broker with no-op tasks.

    \b
    asynctasq bench --driver redis --redis-url redis://localhost:6379
    asynctasq bench --tasks 100000 --concurrency 10

    The tasks go to a queue of their own, and leftovers are removed. Other clients of the broker
    distort the figures: measure when it is idle.
    """
    config = make_config({**options, "default_queue": queue})
    figures = run(_bench(init(config), tasks, concurrency))
    if as_json:
        print_json({"driver": config.driver, "tasks": tasks, "concurrency": concurrency,
                    **asdict(figures)})  # fmt: skip
    else:
        rows = [{config.driver: TITLES[name], "": value} for name, value in asdict(figures).items()]
        print_rows(rows, as_json=False)


async def _bench(config: Config, tasks: int, concurrency: int) -> Figures:
    from asynctasq_cli.bench_tasks import noop  # not among the tasks of other workers

    async with connected(config) as driver, _own_queue(driver, config.default_queue):
        few = max(100, tasks // 50)
        one_by_one = await _seconds_to_send([noop() for _ in range(few)])
        in_bulk = await _seconds_to_store([noop() for _ in range(tasks)])
        clock, processor = time.perf_counter(), time.process_time()
        await _worker(config, concurrency, burst=True).start()
        seconds = time.perf_counter() - clock
        processor = time.process_time() - processor
        delays = await _delays(_worker(config, concurrency, burst=False))
    return Figures(
        enqueued_in_bulk_per_second=tasks / in_bulk,
        enqueued_one_by_one_per_second=few / one_by_one,
        run_per_second=(tasks + few) / seconds,
        processor_us_per_task=1e6 * processor / (tasks + few),
        start_median_ms=1000 * median(delays),
        start_p95_ms=1000 * quantiles(delays, n=20)[-1],
    )


@asynccontextmanager
async def _own_queue(driver: BaseDriver, queue: str) -> AsyncGenerator[None, None]:
    """Check that the queue is empty, and empty it afterwards, if the driver is an `Inspector`."""
    if not isinstance(driver, Inspector):
        yield
        return
    (stats,) = await driver.counts([queue])
    if stats.unfinished or stats.dead:
        raise click.ClickException(
            f"the queue {queue} is not empty: another bench may be using it; name another "
            "with --queue"
        )
    try:
        yield
    finally:
        (stats,) = await driver.counts([queue])
        if stats.ready:  # the measurement was interrupted
            await driver.purge(queue, State.READY)


async def _seconds_to_store(calls: Sequence[TaskCall[None]]) -> float:
    started = time.perf_counter()
    for first in range(0, len(calls), BATCH):
        await dispatch_many(calls[first : first + BATCH])
    return time.perf_counter() - started


async def _seconds_to_send(calls: Sequence[TaskCall[None]]) -> float:
    started = time.perf_counter()
    for call in calls:
        await call.dispatch()
    return time.perf_counter() - started


async def _delays(worker: Worker) -> list[float]:
    """Seconds from dispatch to start of each task; drops the first tenth, which connects."""
    from asynctasq_cli.bench_tasks import delays, stamp

    working = asyncio.create_task(worker.start())
    found: list[float] = []
    try:
        async with asyncio.timeout(PATIENCE):
            for _ in range(STAMPS):
                await stamp(time.monotonic()).dispatch()
                found.append(await delays.get())
                await asyncio.sleep(PAUSE)
    except TimeoutError:
        raise click.ClickException(f"tasks did not start within {PATIENCE:.0f} s") from None
    finally:
        await worker.stop()
        await working
    return found[STAMPS // 10 :]


def _worker(config: Config, concurrency: int, *, burst: bool) -> Worker:
    return Worker(
        DriverFactory.create_from_config(config),
        [config.default_queue],
        concurrency=concurrency,
        burst=burst,
        handle_signals=False,  # Ctrl+C ends the command
        config=config,
    )
