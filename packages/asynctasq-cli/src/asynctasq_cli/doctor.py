"""``asynctasq doctor``: the configuration in force, and whether the broker answers."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

from typing import Any

import rich_click as click

from asynctasq import Config, run
from asynctasq.errors import BrokerError
from asynctasq_cli.broker import connected
from asynctasq_cli.options import config_options, make_config
from asynctasq_cli.output import print_json, print_rows


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_options
def doctor(as_json: bool, **options: Any) -> int:
    """Show the configuration, secrets masked, and try to connect."""
    config = make_config(options)
    problem = run(_problem(config))
    if as_json:
        print_json({"config": config.masked(), "reachable": not problem, "problem": problem})
    else:
        rows = [{"setting": name, "value": value} for name, value in config.masked().items()]
        print_rows(rows, as_json=False)
        place = config.driver_settings.location()
        click.echo(f"{config.driver} at {place}: {problem or 'reachable'}")
    return 1 if problem else 0


async def _problem(config: Config) -> str | None:
    try:
        async with connected(config):
            return None
    except BrokerError as error:
        return str(error)
