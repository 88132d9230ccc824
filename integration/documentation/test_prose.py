"""Commands and settings that the prose names exist."""

import re
from pathlib import Path

import pytest
import rich_click as click

from asynctasq import Config
from asynctasq.drivers import registry
from asynctasq_cli.main import cli
from integration.documentation.blocks import PAGES, ROOT

#: What has its own words: the changelog tells of the past, too.
READ = [page for page in PAGES if page.name != "CHANGELOG.md"]
_BLOCK = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")


def code_in_prose(page: Path) -> list[str]:
    """Inline code between the blocks."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return [" ".join(code.split()) for code in _CODE.findall(text)]


def pages(text: str) -> list[object]:
    """The pages with such code, as parameters named by their path."""
    found = [page for page in READ if any(code.startswith(text) for code in code_in_prose(page))]
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in found]


@pytest.mark.parametrize("page", pages("asynctasq "))
def test_commands_and_their_options_are_there(page: Path) -> None:
    for code in code_in_prose(page):
        if code.startswith("asynctasq "):
            command, words = _command(code.split()[1:])
            options = {name for one in command.params for name in one.opts}
            given = {word.partition("=")[0] for word in words if word.startswith("--")}
            assert given <= options | {"--help", "--debug"}, code


def _command(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that is meant, and the words that follow its name."""
    command: click.Command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        if name.isupper():  # any
            break
        assert name in command.commands, name
        command = command.commands[name]
    return command, words


@pytest.mark.parametrize("page", pages("ASYNCTASQ_"))
def test_variables_are_settings(page: Path) -> None:
    models = [Config, *map(registry.settings_class, registry.driver_names())]
    known = {f"ASYNCTASQ_{name.upper()}" for model in models for name in model.model_fields}
    named = {
        match[0]
        for code in code_in_prose(page)
        for match in re.finditer(r"^ASYNCTASQ_[A-Z_]*[A-Z]\b", code)
        if not re.match(r"ASYNCTASQ_(TEST_|WEB_TOKEN)", match[0])
    }
    assert named <= known
