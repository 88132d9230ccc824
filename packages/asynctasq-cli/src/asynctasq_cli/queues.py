"""``asynctasq queues``: what waits, runs and died."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

from dataclasses import asdict
from typing import Any

import rich_click as click

from asynctasq import Config, run
from asynctasq_cli.broker import chosen_queues, connected, inspector
from asynctasq_cli.options import config_options, make_config
from asynctasq_cli.output import print_rows


@click.command()
@click.option("--queue", help="Only this queue.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@config_options
def queues(queue: str | None, as_json: bool, **options: Any) -> None:
    """Count the messages of each queue; the oldest ready one's age is in seconds."""
    rows = run(_rows(make_config(options), queue))
    print_rows(rows, as_json=as_json, empty="no queue holds a message")


async def _rows(config: Config, queue: str | None) -> list[dict[str, Any]]:
    async with connected(config) as driver:
        return [asdict(one) for one in await chosen_queues(inspector(driver, config), queue)]
