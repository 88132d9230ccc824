"""The asynctasq command."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

import sys
from collections.abc import Sequence
from importlib.metadata import version

import rich_click as click

from asynctasq.errors import AsyncTasQError, ConfigError
from asynctasq_cli import options
from asynctasq_cli.dead import dead
from asynctasq_cli.demo import demo
from asynctasq_cli.doctor import doctor
from asynctasq_cli.queues import queues
from asynctasq_cli.worker import worker

click.rich_click.OPTION_GROUPS = {
    f"asynctasq {name}": options.option_groups() for name in ("worker", "queues", "doctor")
}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("asynctasq-core"), "--version", "-V", prog_name="asynctasq")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
def cli(debug: bool) -> None:
    """An async-first distributed task queue."""


for command in (worker, demo, queues, dead, doctor):
    cli.add_command(command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 well, 1 failed, 2 used wrongly, 130 Ctrl+C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]  # wherever it stands
    try:
        result = cli.main(words, prog_name="asynctasq", standalone_mode=False)
    except click.NoSuchOption as error:
        return _fail(options.unknown_option(error.option_name) or error.format_message(), 2)
    except click.ClickException as error:
        return _fail(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return 130
    except ConfigError as error:
        return _fail(_text(error, debug), 2)
    except AsyncTasQError as error:
        return _fail(_text(error, debug), 1)
    return result if isinstance(result, int) else 0


def _text(error: AsyncTasQError, debug: bool) -> str:
    if debug:
        raise error
    return str(error)


def _fail(message: str, code: int) -> int:
    click.echo(f"error: {message}", err=True)
    return code
