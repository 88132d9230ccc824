"""The reference of commands, from the tree of commands itself."""

import inspect
import re
from collections.abc import Iterator

import rich_click as click

from asynctasq import Config
from asynctasq.drivers import registry
from asynctasq_cli.main import cli
from integration.documentation.tables import MADE, page, table

INTRODUCTION = """\
# Commands

`asynctasq COMMAND`, or `python -m asynctasq COMMAND`. For commands marked *and every setting*, each
of the [settings](settings.md) is an option, too: `redis_url` is `--redis-url`. `--debug`, anywhere
on the line, shows the traceback of an error. The exit code is 0 on success, 1 on failure, 2 for
wrong usage, and 130 after Ctrl+C."""

_EXAMPLES = re.compile(r"\x08\n((?:.+\n?)+)")


def commands_page() -> str:
    """The whole page."""
    blocks = [block for context in _tree() for block in _command(context)]
    return page([MADE], [INTRODUCTION], *blocks)


def _tree() -> Iterator[click.Context]:
    """A context for every command that does something, in the order of their names."""
    root = click.Context(cli, info_name="asynctasq")
    for name, command in sorted(cli.commands.items()):
        context = click.Context(command, info_name=name, parent=root)
        if not isinstance(command, click.Group):
            yield context
            continue
        for inner, one in sorted(command.commands.items()):
            yield click.Context(one, info_name=inner, parent=context)


def _command(context: click.Context) -> Iterator[list[str]]:
    text = inspect.cleandoc(context.command.help or "")
    yield [f"## {context.command_path.partition(' ')[2]}"]
    words = " ".join(context.command.collect_usage_pieces(context))
    yield ["```text", f"{context.command_path} {words}", "```"]
    yield [re.sub(r"\n{3,}", "\n\n", _EXAMPLES.sub("", text)).strip()]
    if rows := list(_options(context)):
        yield table(("option", "meaning"), rows)
    if any(option.name in _setting_names() for option in context.command.params):
        yield ["… and every setting."]
    for examples in _EXAMPLES.findall(text):
        yield ["```bash", examples.rstrip(), "```"]


def _options(context: click.Context) -> Iterator[tuple[str, str]]:
    for option in context.command.params:
        record = option.get_help_record(context)
        if record is not None and record[1] and option.name not in _setting_names():
            yield f"`{record[0]}`", " ".join(record[1].split())


def _setting_names() -> set[str]:
    models = [Config, *map(registry.settings_class, registry.driver_names())]
    return {name for model in models for name in model.model_fields}
