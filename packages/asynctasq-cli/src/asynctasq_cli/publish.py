"""``asynctasq publish``: writes a template of ``.env`` with every setting and its meaning."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import rich_click as click
from pydantic import BaseModel

from asynctasq import Config
from asynctasq.drivers import registry
from asynctasq.errors import ConfigError
from asynctasq.settings import ENV_PREFIX
from asynctasq_cli.setting_help import default_text, setting_texts

WIDTH = 100
_HEAD = """\
# Settings of AsyncTasQ and their defaults: copy this to .env, and uncomment the lines you change.
# Command-line options and environment variables take precedence. Durations are in seconds."""


@click.command()
@click.argument("file", default=".env.example", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--driver", "drivers", multiple=True, metavar="NAME",
              help="Driver to include; all installed drivers by default.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace an existing file.")
def publish(file: str, drivers: tuple[str, ...], force: bool) -> None:
    """Write a template of .env with all settings to FILE, or to standard output if FILE is -.

    \b
    asynctasq publish
    asynctasq publish --driver redis -
    """
    text = template(drivers or registry.driver_names())
    if file == "-":
        click.echo(text, nl=False)
        return
    try:
        with Path(file).open("w" if force else "x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise ConfigError(f"{file} exists already; --force replaces it") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}") from None
    click.echo(f"wrote {file}")


def template(drivers: Sequence[str]) -> str:
    """Return all settings as commented-out lines of ``.env``; raises `DriverNotFound`."""
    sections = [(name, registry.settings_class(name)) for name in drivers]
    blocks = [_HEAD, *_settings(Config)]
    for name, model in sections:
        blocks += [f"# --- the {name} driver", *_settings(model)]
    return "\n\n".join(blocks) + "\n"


def _settings(model: type[BaseModel]) -> Iterator[str]:
    texts = setting_texts(model)
    for name, field in model.model_fields.items():
        text = texts.get(name, "").replace("`", "")
        comment = textwrap.wrap(
            text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False
        )
        yield "\n".join([*comment, f"# {ENV_PREFIX}{name.upper()}={default_text(field)}"])
