"""The reference of settings, from their models."""

import types
import typing
from collections.abc import Iterable

import annotated_types
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from asynctasq import Config
from asynctasq.drivers import registry
from asynctasq_cli.setting_help import default_text, setting_texts
from integration.documentation.tables import MADE, page, table

#: In the order of the navigation.
DRIVERS = ("sqlite", "redis", "postgres", "mysql", "rabbitmq", "sqs", "memory")
_HEAD = ("setting", "kind", "default", "meaning")
_KINDS = {str: "text", int: "whole number", float: "number", bool: "true or false", tuple: "list"}

INTRODUCTION = """\
# Settings

Each setting has one name. For `redis_url` that is the keyword `redis_url`, the variable
`ASYNCTASQ_REDIS_URL`, the option `--redis-url` and the key `redis_url` in `[tool.asynctasq]`;
[Configuration](../configuration.md) gives their precedence. Durations are in seconds."""


def settings_page() -> str:
    """The whole page."""
    general = ["## General"], _rows(Config)
    drivers = [
        block
        for name in DRIVERS
        for block in (
            [f"## {name}"],
            [f"More about it: [the {name} driver](../drivers/{name}.md)."],
            _rows(registry.settings_class(name)),
        )
    ]
    return page([MADE], [INTRODUCTION], *general, *drivers)


def _rows(model: type[BaseModel]) -> list[str]:
    texts = setting_texts(model)
    return table(
        _HEAD,
        (
            (f"`{name}`", kind(field), default(field), _markdown(texts.get(name, "")))
            for name, field in model.model_fields.items()
        ),
    )


def kind(field: FieldInfo) -> str:
    """The kind of values a setting accepts, with their limits."""
    parts = list(_parts(field.annotation))
    for part in parts:
        if typing.get_origin(part) is typing.Literal:
            return " or ".join(f"`{word}`" for word in typing.get_args(part))
    if SecretStr in parts:
        return "text, shown masked"
    names = [name for type_, name in _KINDS.items() if type_ in parts]
    return " ".join([names[0], *_limits([*field.metadata, *parts])])


def default(field: FieldInfo) -> str:
    """The default, where it is a value."""
    text = default_text(field)
    return f"`{text}`" if text else ""


def _parts(annotation: object) -> Iterable[object]:
    """The types in an annotation, and the limits it holds."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _parts(part)
    elif origin is typing.Annotated:
        inner, *notes = typing.get_args(annotation)
        yield from _parts(inner)
        for note in notes:
            yield from getattr(note, "metadata", [note])
    else:
        yield tuple if origin is tuple else annotation


def _limits(notes: Iterable[object]) -> Iterable[str]:
    for note in notes:
        match note:
            case annotated_types.Ge(ge=limit):
                yield f"≥ {limit}"
            case annotated_types.Gt(gt=limit):
                yield f"> {limit}"
            case annotated_types.Le(le=limit):
                yield f"≤ {limit}"
            case _:
                pass


def _markdown(text: str) -> str:
    return text.replace("``", "`")
