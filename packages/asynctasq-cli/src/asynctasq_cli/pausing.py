"""``asynctasq pause`` and ``resume``: stop and resume the delivery of queues."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

from collections.abc import Sequence
from typing import Any

import rich_click as click

from asynctasq.drivers import BaseDriver
from asynctasq_cli.connection import require_control, with_driver
from asynctasq_cli.options import config_options, make_config
from asynctasq_cli.output import print_json, printable


@click.command()
@click.argument("queues", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@config_options
def pause(queues: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Stop the delivery of queues to all workers, until they are resumed.

    Running tasks finish, and new messages are stored as usual.

    \b
    asynctasq pause emails reports
    """
    _set_paused(queues, as_json, options, pausing=True)


@click.command()
@click.argument("queues", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@config_options
def resume(queues: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Resume the delivery of paused queues.

    \b
    asynctasq resume emails reports
    """
    _set_paused(queues, as_json, options, pausing=False)


def _set_paused(
    queues: Sequence[str], as_json: bool, options: dict[str, Any], *, pausing: bool
) -> None:
    config = make_config(options)

    async def work(driver: BaseDriver) -> dict[str, bool]:
        control = require_control(driver, config, "pause queues")
        change = control.pause if pausing else control.resume
        return {queue: await change(queue) for queue in dict.fromkeys(queues)}

    changed = with_driver(config, work)
    if as_json:
        print_json([{"queue": q, "paused": pausing, "changed": c} for q, c in changed.items()])
        return
    for queue, new in changed.items():
        state = "paused" if pausing else "resumed" if new else "not paused"
        already = " already" if pausing and not new else ""
        click.echo(f"{printable(queue)}: {state}{already}")
