"""``asynctasq purge``: removes all messages of one state from a queue."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

from typing import Any

import rich_click as click

from asynctasq.drivers import State
from asynctasq_cli.connection import require_inspector, with_driver
from asynctasq_cli.dead import confirm_removal
from asynctasq_cli.options import config_options, make_config
from asynctasq_cli.output import print_json

_STATES = [state.value for state in (State.READY, State.DELAYED, State.DEAD)]


@click.command()
@click.argument("queue")
@click.option(
    "--state", required=True, type=click.Choice(_STATES), help="State of the messages to remove."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_options
def purge(queue: str, state: str, yes: bool, as_json: bool, **options: Any) -> None:
    """Permanently remove all messages of one state; running messages stay.

    \b
    asynctasq purge emails --state delayed
    asynctasq purge emails --state ready --yes
    """
    config = make_config(options)
    confirm_removal(yes=yes)
    removed = with_driver(
        config, lambda driver: require_inspector(driver, config).purge(queue, State(state))
    )
    if as_json:
        print_json({"queue": queue, "state": state, "removed": removed})
    else:
        click.echo(f"{removed} removed")
