"""``asynctasq doctor``: shows the configuration in force and diagnoses the broker."""

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
    """The result of a diagnosis; `problem` is set if the broker could not be reached."""

    findings: Sequence[Finding] = ()
    problem: str | None = None

    def verdict(self) -> str:
        """The broker's state in a few words."""
        if self.problem is not None:
            return self.problem
        counts = [(level, self._count(level)) for level in (Level.PROBLEM, Level.WARNING)]
        parts = [f"{count} {level.value}{'s' * (count > 1)}" for level, count in counts if count]
        return ", ".join(["reachable", *parts])

    def failed(self) -> bool:
        """Whether workers cannot run."""
        return self.problem is not None or self._count(Level.PROBLEM) > 0

    def rows(self) -> list[dict[str, Any]]:
        """The findings, to be printed."""
        return [{**asdict(finding), "level": finding.level.value} for finding in self.findings]

    def _count(self, level: Level) -> int:
        return sum(finding.level is level for finding in self.findings)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_options
def doctor(as_json: bool, **options: Any) -> int:
    """Show the configuration, secrets masked, and diagnose the broker.

    Exits with 1 if workers cannot run; warnings are no failure.
    """
    config = make_config(options)
    result = run(_examine(config))
    if as_json:
        print_json(
            {
                "config": config.masked(),
                "reachable": result.problem is None,
                "problem": result.problem,
                "findings": result.rows(),
            }
        )
    else:
        _print(config, result)
    return 1 if result.failed() else 0


def _print(config: Config, result: Examination) -> None:
    rows = [{"setting": name, "value": value} for name, value in config.masked().items()]
    print_rows(rows, as_json=False)
    if result.findings:
        print_rows(result.rows(), as_json=False)
    click.echo(f"{config.driver} at {config.driver_settings.location()}: {result.verdict()}")


async def _examine(config: Config) -> Examination:
    driver = DriverFactory.create_from_config(config)
    try:
        if isinstance(driver, Diagnostics):
            return Examination(await driver.diagnose())
        async with connected(config):
            return Examination()
    except BrokerError as error:
        return Examination(problem=str(error))
