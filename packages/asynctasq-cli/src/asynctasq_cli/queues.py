"""``asynctasq queues``: what waits, runs and died."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

from dataclasses import asdict
from typing import Any

import rich_click as click

from asynctasq import Config, run
from asynctasq.drivers import BaseDriver, Control, QueueStats
from asynctasq_cli.connection import chosen_queues, inspector, with_driver
from asynctasq_cli.options import config_options, make_config
from asynctasq_cli.output import print_rows
from asynctasq_cli.watch import readable, watch


@click.command()
@click.option("--queue", help="Only this queue.")
@click.option("--watch", "every", is_flag=False, flag_value=2.0, type=click.FloatRange(0.1),
              metavar="[SECONDS]", help="Look again every so often, 2 if not said.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON; an object a line, to watch.")
@config_options
def queues(queue: str | None, every: float | None, as_json: bool, **options: Any) -> None:
    """Count the messages of each queue; the oldest ready one's age is in seconds.

    Watched, it also shows how much more is unfinished than at the look before, until Ctrl+C.

    \b
    asynctasq queues
    asynctasq queues --watch
    asynctasq queues --watch 10 --json
    """
    config = make_config(options)

    async def look(driver: BaseDriver) -> list[dict[str, Any]]:
        return await _rows(driver, config, queue)

    if every is not None:
        run(watch(config, look, every=every, as_json=as_json))
        return
    rows = with_driver(config, look)
    print_rows(
        rows if as_json else [readable(row) for row in rows],
        as_json=as_json,
        empty="no queue holds a message",
    )


async def _rows(driver: BaseDriver, config: Config, queue: str | None) -> list[dict[str, Any]]:
    stats = await chosen_queues(inspector(driver, config), queue)
    if not isinstance(driver, Control):
        return [{**asdict(one), "paused": None} for one in stats]
    paused = set(await driver.paused())
    if queue is None:  # one that holds nothing is good to know of
        missing = paused - {one.queue for one in stats}
        stats = sorted([*stats, *map(QueueStats.empty, missing)], key=lambda one: one.queue)
    return [{**asdict(one), "paused": one.queue in paused} for one in stats]
