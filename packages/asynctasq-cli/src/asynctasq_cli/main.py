"""The asynctasq command: its subcommands, exit codes and error messages."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

import re
import sys
import traceback
from collections.abc import Generator, Sequence
from importlib.metadata import version

import rich_click as click

from asynctasq.errors import AsyncTasQError, ConfigError, WorkerRefused
from asynctasq_cli import options
from asynctasq_cli.bench import bench
from asynctasq_cli.cancel import cancel
from asynctasq_cli.completion import completion
from asynctasq_cli.dead import dead
from asynctasq_cli.demo import demo
from asynctasq_cli.doctor import doctor
from asynctasq_cli.enqueue import enqueue
from asynctasq_cli.health import health
from asynctasq_cli.migrate import migrate
from asynctasq_cli.output import printable
from asynctasq_cli.pausing import pause, resume
from asynctasq_cli.publish import publish
from asynctasq_cli.purge import purge
from asynctasq_cli.queues import queues
from asynctasq_cli.tasks import tasks
from asynctasq_cli.web.command import web
from asynctasq_cli.worker import worker
from asynctasq_cli.workers import workers

COMMANDS: Sequence[click.Command] = (
    worker,
    demo,
    queues,
    dead,
    doctor,
    migrate,
    publish,
    bench,
    web,
    workers,
    tasks,
    cancel,
    pause,
    resume,
    purge,
    enqueue,
    health,
    completion,
)
_PASSWORD = re.compile(r"(?<=://)[^/@\s]*:[^@\s]*(?=@)")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("asynctasq-core"), "--version", "-V", prog_name="asynctasq")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
def cli(debug: bool) -> None:
    """An async-first distributed task queue."""


for command in COMMANDS:
    cli.add_command(command)


def _grouped_commands() -> Generator[str, None, None]:
    """Yields the names of all commands whose help groups the settings."""
    for command in COMMANDS:
        if command is publish:  # its --driver is an option of its own
            continue
        yield str(command.name)
        if isinstance(command, click.Group):
            yield from (f"{command.name} {name}" for name in command.commands)


click.rich_click.OPTION_GROUPS = {
    f"asynctasq {name}": options.option_groups() for name in _grouped_commands()
}


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    0 success, 1 failure, 2 usage error, 3 the broker rejected a running worker for too long,
    130 Ctrl+C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]  # accepted at any position
    try:
        result = cli.main(words, prog_name="asynctasq", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        return 130
    except Exception as error:  # noqa: BLE001 - users get one line; --debug prints the traceback
        if debug:
            traceback.print_exception(error)
        return _fail(error)
    return result if isinstance(result, int) else 0


def _fail(error: Exception) -> int:
    """Print the error; returns the exit code."""
    message, code = _explain(error)
    # a misplaced argument may be a URL with a password
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
    return f"{type(error).__name__}: {error} (--debug shows the traceback)", 1
