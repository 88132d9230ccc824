"""``asynctasq workers``: who works, on what, and when it was last heard."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

from dataclasses import asdict
from typing import Any

import rich_click as click

from asynctasq.drivers import WorkerInfo
from asynctasq_cli.connection import registry, with_driver
from asynctasq_cli.options import config_options, make_config
from asynctasq_cli.output import print_rows


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@config_options
def workers(as_json: bool, **options: Any) -> None:
    """List the live workers; uptime and last heartbeat are in seconds.

    A worker that ended badly is forgotten after three heartbeats that did not come.

    \b
    asynctasq workers
    asynctasq workers --json
    """
    config = make_config(options)
    found = with_driver(config, lambda driver: registry(driver, config).workers())
    rows = [_row(info, heard, as_json) for info, heard in found]
    print_rows(rows, as_json=as_json, empty="no worker is known")


def _row(info: WorkerInfo, heard: float, as_json: bool) -> dict[str, Any]:
    row = {**asdict(info), "heartbeat": round(heard, 1)}
    return {**row, "queues": [*info.queues] if as_json else ", ".join(info.queues)}
