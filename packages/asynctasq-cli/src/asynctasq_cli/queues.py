"""``asynctasq queues``: counts the messages of each queue by state."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

from dataclasses import asdict
from typing import Any

import rich_click as click

from asynctasq import Config, run
from asynctasq.drivers import BaseDriver, Control, QueueStats
from asynctasq_cli.connection import chosen_queues, require_inspector, with_driver
from asynctasq_cli.options import config_options, make_config
from asynctasq_cli.output import print_rows
from asynctasq_cli.watch import readable, watch


@click.command()
@click.option("--queue", help="Only this queue.")
@click.option("--watch", "every", is_flag=False, flag_value=2.0, type=click.FloatRange(0.1),
              metavar="[SECONDS]", help="Refresh every SECONDS, by default 2.")  # fmt: skip
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON; with --watch, one object a line."
)
@config_options
def queues(queue: str | None, every: float | None, as_json: bool, **options: Any) -> None:
    """Count the messages of each queue; the age of the oldest ready message is in seconds.

    With --watch, also show the change of unfinished messages since the last refresh, until Ctrl+C.

    \b
    asynctasq queues
    asynctasq queues --watch
    asynctasq queues --watch 10 --json
    """
    config = make_config(options)

    async def read_rows(driver: BaseDriver) -> list[dict[str, Any]]:
        return await _rows(driver, config, queue)

    if every is not None:
        run(watch(config, read_rows, every=every, as_json=as_json))
        return
    rows = with_driver(config, read_rows)
    print_rows(
        rows if as_json else [readable(row) for row in rows],
        as_json=as_json,
        empty="no queue holds a message",
    )


async def _rows(driver: BaseDriver, config: Config, queue: str | None) -> list[dict[str, Any]]:
    stats = await chosen_queues(require_inspector(driver, config), queue)
    if not isinstance(driver, Control):
        return [{**asdict(counts), "paused": None} for counts in stats]
    paused = set(await driver.paused())
    if queue is None:  # also show paused queues that are empty
        missing = paused - {counts.queue for counts in stats}
        stats = sorted([*stats, *map(QueueStats.empty, missing)], key=lambda counts: counts.queue)
    return [{**asdict(counts), "paused": counts.queue in paused} for counts in stats]
