"""Command lines of ``asynctasq`` in blocks of all kinds."""

import json
import re
import shlex
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import PurePath

import yaml

from integration.documentation.blocks import Block

_BEFORE = re.compile(r"exec|uv|run|python3?|-m|\w+=.*")


def command_lines(block: Block) -> list[list[str]]:
    """The words after ``asynctasq``, for each time the block calls it."""
    return [words for text in _shell(block) for words in _calls(text)]


def _shell(block: Block) -> Iterator[str]:
    """The parts of a block that are, or could be, shell command lines."""
    match block.language:
        case "bash" | "sh":
            yield block.text
        case "text":
            lines = block.text.splitlines()
            yield "\n".join(line[2:] for line in lines if line.startswith("$ "))
        case "dockerfile":
            for words in re.findall(r"^(?:CMD|ENTRYPOINT) (\[.*\])$", block.text, re.MULTILINE):
                yield shlex.join(json.loads(words))
        case "yaml":
            for document in yaml.safe_load_all(block.text):
                yield from _strings(document)
        case "ini":
            unit = ini(block.text)
            for section in unit.sections():
                for name in ("ExecStart", "command"):
                    yield unit[section].get(name, "")
        case _:
            pass


def ini(text: str) -> ConfigParser:
    """The configuration files of systemd and supervisor."""
    parser = ConfigParser(interpolation=None, strict=False)
    parser.read_string(text)
    return parser


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        if " " in value:  # a name alone is no command
            yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


def _calls(text: str) -> Iterator[list[str]]:
    for line in text.replace("\\\n", " ").splitlines():
        if "asynctasq" not in line:
            continue
        for words in _commands(line):
            while words and _BEFORE.fullmatch(words[0].rpartition("/")[2]):
                words = words[1:]
            if words and PurePath(words[0]).name == "asynctasq":
                yield words[1:]


def _commands(line: str) -> Iterator[list[str]]:
    """The simple commands of a line; where they redirect to is left out."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    tokens = iter(lexer)
    for token in tokens:
        if token in (">", "<", ">>"):
            next(tokens, None)
        elif set(token) <= set("|&;()"):
            yield words
            words = []
        else:
            words.append(token)
    yield words
