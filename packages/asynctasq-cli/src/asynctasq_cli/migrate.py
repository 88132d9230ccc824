"""``asynctasq migrate``: creates and upgrades the broker's tables."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

from typing import Any

import rich_click as click

from asynctasq import Config, DriverFactory, run
from asynctasq.drivers import Migrator
from asynctasq.errors import ConfigError
from asynctasq_cli.options import config_options, make_config
from asynctasq_cli.output import print_json


@click.command()
@click.option("--sql", "as_sql", is_flag=True, help="Print the SQL, and change nothing.")
@click.option(
    "--check", is_flag=True, help="Change nothing; exit with 1 if a migration is pending."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_options
def migrate(as_sql: bool, check: bool, as_json: bool, **options: Any) -> int:
    """Create or upgrade the tables of a database that serves as a broker.

    \b
    asynctasq migrate --driver postgres --postgres-dsn postgresql://user@host/db
    asynctasq migrate --driver mysql --sql
    """
    config = make_config(options)
    migrator = _migrator(config)
    if as_sql:
        click.echo(migrator.migration_sql())
        return 0
    names = list(run(migrator.pending() if check else migrator.migrate()))
    if as_json:
        print_json({"pending" if check else "applied": names})
    else:
        word = "pending" if check else "applied"
        click.echo("\n".join(f"{word}: {name}" for name in names) or "tables are up to date")
    return 1 if check and names else 0


def _migrator(config: Config) -> Migrator:
    driver = DriverFactory.create_from_config(config)
    if not isinstance(driver, Migrator):
        raise ConfigError(f"the {config.driver} driver has no tables to migrate")
    return driver
