"""``asynctasq demo``: a few hundred real tasks on a temporary queue, and what became of them."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

import logging
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import rich_click as click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from asynctasq import Config, DriverFactory, TaskCall, Worker, dispatch_many, init, run
from asynctasq.events import Event, TaskDied, TaskEvent, TaskRetried, TaskSucceeded
from asynctasq_cli.broker import connected, inspector

EMAILS, IMAGES, PRIMES, FLAKY, BROKEN = 200, 100, 8, 40, 6


class Tally:
    """Counts what happened to each task, and moves the progress bar."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.counts: Counter[tuple[str, type[Event]]] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._progress = progress
        self._bar = progress.add_task("running tasks", total=total)

    async def emit(self, event: Event) -> None:
        """Count one event."""
        if isinstance(event, TaskEvent):
            self.counts[event.name, type(event)] += 1
        if isinstance(event, TaskSucceeded):
            self.seconds[event.name] += event.duration
        if isinstance(event, (TaskSucceeded, TaskDied)):
            self._progress.advance(self._bar)

    def total(self, kind: type[Event]) -> int:
        """How often it happened, to all tasks."""
        return sum(count for (_, what), count in self.counts.items() if what is kind)


@click.command()
def demo() -> int:
    """Run a few hundred tasks of all kinds on a temporary embedded queue, in seconds."""
    logging.getLogger("asynctasq").setLevel(logging.CRITICAL)  # the table tells it all
    with tempfile.TemporaryDirectory(prefix="asynctasq-demo-") as folder:
        path = str(Path(folder) / "queue.db")
        config = init(Config(driver="sqlite", sqlite_path=path, process_pool_size=2))
        return run(_demo(config))


async def _demo(config: Config) -> int:
    console = Console()
    calls = _calls()
    started = time.perf_counter()
    await dispatch_many(calls)
    stored = time.perf_counter() - started
    console.print(f"{len(calls)} calls dispatched in {stored * 1000:.0f} ms, in one round trip")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tally = Tally(progress, len(calls))
        driver = DriverFactory.create_from_config(config)
        worker = Worker(driver, concurrency=50, burst=True, config=config, emitters=[tally])
        await worker.start()
    seconds = time.perf_counter() - started
    console.print(_table(tally))
    left, died = await _left(config)
    good = tally.total(TaskSucceeded) == len(calls) - BROKEN and (left, died) == (0, BROKEN)
    console.print(
        f"{tally.total(TaskSucceeded)} succeeded, {tally.total(TaskRetried)} retries, "
        f"{died} dead, {left} left in the queue, after {seconds:.1f} s"
    )
    if not good:
        console.print("something was lost: this is a bug, please report it")
    return 0 if good else 1


def _calls() -> Sequence[TaskCall[object]]:
    from asynctasq_cli import demo_tasks as tasks  # not among the tasks of other workers

    return [
        *(tasks.count_primes(20_000) for _ in range(PRIMES)),
        *(tasks.send_email(to=f"user{n}@example.org") for n in range(EMAILS)),
        *(tasks.resize_image(image_id=n) for n in range(IMAGES)),
        *(tasks.CallFlakyService(number=n).call() for n in range(FLAKY)),
        *(tasks.ImportBrokenFile(path=f"{n}.txt").call() for n in range(BROKEN)),
    ]


def _table(tally: Tally) -> Table:
    table = Table()
    table.add_column("task")
    for column in ("succeeded", "retried", "dead", "mean time"):
        table.add_column(column, justify="right")
    for name in sorted({name for name, _ in tally.counts}):
        succeeded = tally.counts[name, TaskSucceeded]
        mean = f"{tally.seconds[name] / succeeded * 1000:.0f} ms" if succeeded else "-"
        retried, died = tally.counts[name, TaskRetried], tally.counts[name, TaskDied]
        table.add_row(name, str(succeeded), str(retried), str(died), mean)
    return table


async def _left(config: Config) -> tuple[int, int]:
    """What the broker says: messages that are left, and dead ones."""
    async with connected(config) as driver:
        stats = await inspector(driver, config).queues()
    return sum(q.ready + q.delayed + q.running for q in stats), sum(q.dead for q in stats)
