"""``asynctasq demo``: runs a few hundred tasks on a temporary queue and checks the results."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import rich_click as click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from asynctasq import Config, DriverFactory, TaskCall, Worker, dispatch_many, init, run
from asynctasq.events import TaskRetried, TaskSucceeded
from asynctasq_cli.connection import connected, require_inspector
from asynctasq_cli.tally import Tally

QUEUE = "demo"
EMAILS, IMAGES, PRIMES, FLAKY, BROKEN = 200, 100, 8, 40, 6
DONE = {"email": EMAILS, "image": IMAGES, "primes": PRIMES, "service": FLAKY}


@click.command()
def demo() -> int:
    """Run a few hundred tasks of all kinds on a temporary embedded queue, in seconds."""
    logging.getLogger("asynctasq").setLevel(logging.CRITICAL)  # the table has the failures
    with tempfile.TemporaryDirectory(prefix="asynctasq-demo-") as folder:
        config = Config(  # overrides the environment and the working directory's .env
            driver="sqlite",
            sqlite_path=str(Path(folder) / "queue.db"),
            default_queue=QUEUE,
            default_timeout=None,
            imports=(),
            process_pool_size=2,
        )
        marks = Path(folder) / "marks.txt"
        settled = run(_demo(init(config), marks))
        if settled and sorted(marks.read_text().splitlines()) == _expected_marks():
            click.echo("every task did its work exactly once")
            return 0
    click.echo("a task was lost, or ran twice: this is a bug, please report it")
    return 1


async def _demo(config: Config, marks: Path) -> bool:
    """Dispatch, work and report; returns whether the broker's final counts are as expected."""
    console = Console()
    calls = _calls(str(marks))
    started = time.perf_counter()
    await dispatch_many(calls)
    stored = time.perf_counter() - started
    console.print(f"{len(calls)} calls dispatched in {stored * 1000:.0f} ms, in one round trip")
    tally = await _work(config, console, len(calls))
    seconds = time.perf_counter() - started
    console.print(tally.table())
    left, died = await _left(config)
    succeeded, retried = tally.total(TaskSucceeded), tally.total(TaskRetried)
    console.print(
        f"{succeeded} succeeded, {retried} retries, {died} dead, {left} left in the queue, "
        f"after {seconds:.1f} s: {(succeeded + died) / seconds:.0f} tasks/s"
    )
    return (left, died) == (0, BROKEN)


async def _work(config: Config, console: Console, total: int) -> Tally:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("running tasks", total=total)
        tally = Tally(lambda: progress.advance(bar))
        worker = Worker(
            DriverFactory.create_from_config(config),
            [QUEUE],
            concurrency=50,
            burst=True,
            handle_signals=False,  # Ctrl+C ends the command
            config=config,
            emitters=[tally],
        )
        await worker.start()
    return tally


def _calls(marks: str) -> Sequence[TaskCall[object]]:
    from asynctasq_cli import demo_tasks as tasks  # not among the tasks of other workers

    return [
        *(tasks.count_primes(n, marks) for n in range(PRIMES)),
        *(tasks.send_email(n, marks) for n in range(EMAILS)),
        *(tasks.resize_image(n, marks) for n in range(IMAGES)),
        *(tasks.CallFlakyService(n, marks).call() for n in range(FLAKY)),
        *(tasks.ImportBrokenFile(n, marks).call() for n in range(BROKEN)),
    ]


def _expected_marks() -> list[str]:
    return sorted(f"{kind} {number}" for kind, count in DONE.items() for number in range(count))


async def _left(config: Config) -> tuple[int, int]:
    """Return the broker's counts of unfinished and of dead messages."""
    async with connected(config) as driver:
        stats = await require_inspector(driver, config).queues()
    return sum(q.unfinished for q in stats), sum(q.dead for q in stats)
