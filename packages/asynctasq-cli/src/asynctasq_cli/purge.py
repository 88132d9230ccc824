"""``asynctasq purge``: empty a queue of all messages of one state."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

from typing import Any

import rich_click as click

from asynctasq.drivers import State
from asynctasq_cli.connection import inspector, with_driver
from asynctasq_cli.dead import confirm_removal
from asynctasq_cli.options import config_options, make_config
from asynctasq_cli.output import print_json

_STATES = [state.value for state in (State.READY, State.DELAYED, State.DEAD)]


@click.command()
@click.argument("queue")
@click.option("--state", required=True, type=click.Choice(_STATES), help="Which messages.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_options
def purge(queue: str, state: str, yes: bool, as_json: bool, **options: Any) -> None:
    """Remove all messages of one state for good; those that run stay.

    \b
    asynctasq purge emails --state delayed
    asynctasq purge emails --state ready --yes
    """
    config = make_config(options)
    confirm_removal(yes=yes)
    removed = with_driver(
        config, lambda driver: inspector(driver, config).purge(queue, State(state))
    )
    if as_json:
        print_json({"queue": queue, "state": state, "removed": removed})
    else:
        click.echo(f"{removed} removed")
