"""The asynctasq command."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

import re
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version

import rich_click as click

from asynctasq.errors import AsyncTasQError, ConfigError, WorkerRefused
from asynctasq_cli import options
from asynctasq_cli.bench import bench
from asynctasq_cli.dead import dead
from asynctasq_cli.demo import demo
from asynctasq_cli.doctor import doctor
from asynctasq_cli.migrate import migrate
from asynctasq_cli.operating import OPERATING, command_names
from asynctasq_cli.output import printable
from asynctasq_cli.publish import publish
from asynctasq_cli.queues import queues
from asynctasq_cli.web.command import web
from asynctasq_cli.worker import worker

_PASSWORD = re.compile(r"(?<=://)[^/@\s]*:[^@\s]*(?=@)")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("asynctasq-core"), "--version", "-V", prog_name="asynctasq")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
def cli(debug: bool) -> None:
    """An async-first distributed task queue."""


for command in (worker, demo, queues, dead, doctor, migrate, publish, bench, web):
    cli.add_command(command)

for command in OPERATING:
    cli.add_command(command)

click.rich_click.OPTION_GROUPS = {
    f"asynctasq {name}": options.option_groups()
    for name in (
        *command_names(),
        "worker",
        "queues",
        "doctor",
        "migrate",
        "bench",
        "web",
        *(f"dead {name}" for name in dead.commands),
    )
}


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    0 well, 1 failed, 2 used wrongly, 3 a running worker was refused for too long, 130 Ctrl+C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]  # wherever it stands
    try:
        result = cli.main(words, prog_name="asynctasq", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        return 130
    except Exception as error:  # noqa: BLE001 - people get one line, and can ask for the rest
        if debug:
            traceback.print_exception(error)
        return _fail(error)
    return result if isinstance(result, int) else 0


def _fail(error: Exception) -> int:
    """Say what went wrong; returns the exit code."""
    message, code = _explain(error)
    # a word that was meant as an option's value may be a URL
    click.echo(f"error: {printable(_PASSWORD.sub('***', message))}", err=True)
    return code


def _code_of(error: AsyncTasQError) -> int:
    if isinstance(error, WorkerRefused):
        return 3
    return 2 if isinstance(error, ConfigError) else 1


def _explain(error: Exception) -> tuple[str, int]:
    if isinstance(error, click.NoSuchOption):
        return options.unknown_option(error.option_name) or error.format_message(), 2
    if isinstance(error, click.ClickException):
        return " ".join(error.format_message().split()), error.exit_code
    if isinstance(error, AsyncTasQError):
        return str(error), _code_of(error)
    return f"{type(error).__name__}: {error} (--debug shows where)", 1
