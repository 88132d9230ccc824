"""``asynctasq workers``: lists live workers, their queues and last heartbeats."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

from dataclasses import asdict
from typing import Any

import rich_click as click

from asynctasq.drivers import WorkerInfo
from asynctasq_cli.connection import require_workers, with_driver
from asynctasq_cli.options import config_options, make_config
from asynctasq_cli.output import print_rows


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@config_options
def workers(as_json: bool, **options: Any) -> None:
    """List the live workers; uptime and time since the last heartbeat are in seconds.

    A worker that crashed is listed until it has missed three heartbeats.

    \b
    asynctasq workers
    asynctasq workers --json
    """
    config = make_config(options)
    found = with_driver(config, lambda driver: require_workers(driver, config).workers())
    rows = [_row(info, age, as_json) for info, age in found]
    print_rows(rows, as_json=as_json, empty="no live workers")


def _row(info: WorkerInfo, age: float, as_json: bool) -> dict[str, Any]:
    row = {**asdict(info), "heartbeat": round(age, 1)}
    return {**row, "queues": [*info.queues] if as_json else ", ".join(info.queues)}
