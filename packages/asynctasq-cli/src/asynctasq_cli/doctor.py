"""``asynctasq doctor``: the configuration in force, and what is to be said of the broker."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import rich_click as click

from asynctasq import Config, DriverFactory, run
from asynctasq.drivers import Diagnostics, Finding, Level
from asynctasq.errors import BrokerError
from asynctasq_cli.connection import connected
from asynctasq_cli.options import config_options, make_config
from asynctasq_cli.output import print_json, print_rows


@dataclass(frozen=True, slots=True)
class Examination:
    """What came of a look; `problem` is why there was none."""

    findings: Sequence[Finding] = ()
    problem: str | None = None

    def verdict(self) -> str:
        """The broker's state in a few words."""
        if self.problem is not None:
            return self.problem
        counts = [(level, self._count(level)) for level in (Level.PROBLEM, Level.WARNING)]
        said = [f"{count} {level.value}{'s' * (count > 1)}" for level, count in counts if count]
        return ", ".join(["reachable", *said])

    def failed(self) -> bool:
        """Whether workers cannot run."""
        return self.problem is not None or self._count(Level.PROBLEM) > 0

    def rows(self) -> list[dict[str, Any]]:
        """The findings, to be printed."""
        return [{**asdict(one), "level": one.level.value} for one in self.findings]

    def _count(self, level: Level) -> int:
        return sum(one.level is level for one in self.findings)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_options
def doctor(as_json: bool, **options: Any) -> int:
    """Show the configuration, secrets masked, and look into the broker.

    Exits with 1 when workers cannot run with it; warnings are no failure.
    """
    config = make_config(options)
    seen = run(_examine(config))
    if as_json:
        print_json(
            {
                "config": config.masked(),
                "reachable": seen.problem is None,
                "problem": seen.problem,
                "findings": seen.rows(),
            }
        )
    else:
        _print(config, seen)
    return 1 if seen.failed() else 0


def _print(config: Config, seen: Examination) -> None:
    rows = [{"setting": name, "value": value} for name, value in config.masked().items()]
    print_rows(rows, as_json=False)
    if seen.findings:
        print_rows(seen.rows(), as_json=False)
    click.echo(f"{config.driver} at {config.driver_settings.location()}: {seen.verdict()}")


async def _examine(config: Config) -> Examination:
    driver = DriverFactory.create_from_config(config)
    try:
        if isinstance(driver, Diagnostics):
            return Examination(await driver.diagnose())
        async with connected(config):
            return Examination()
    except BrokerError as error:
        return Examination(problem=str(error))
