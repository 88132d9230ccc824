"""Options made of settings: every setting of core and of the installed drivers is one."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar

import rich_click as click
from pydantic.fields import FieldInfo

from asynctasq import Config
from asynctasq.drivers import registry
from asynctasq.errors import ConfigError, DriverIncompatible

Command = TypeVar("Command", bound=Callable[..., Any])

_HELP = {
    "url": "The broker's URL; its scheme picks the driver.",
    "driver": "Queue driver: redis where it is installed, else sqlite.",
    "imports": "Modules to import, comma-separated.",
}


def config_options(command: Command) -> Command:
    """Give a command an option for every setting; they arrive as keyword arguments."""
    for name, field in reversed(_settings().items()):
        option = click.option(
            f"--{name.replace('_', '-')}",
            name,
            type=_click_type(field.annotation),
            metavar=_metavar(name, field),
            help=_HELP.get(name),
        )
        command = option(command)
    return command


def make_config(options: dict[str, Any]) -> Config:
    """The configuration for the options that were given."""
    names = _settings().keys() & options.keys()
    return Config(**{name: options[name] for name in names if options[name] is not None})


def option_groups() -> list[dict[str, Any]]:
    """How the help groups the options: core's, and each driver's."""
    groups = [{"name": "Configuration", "options": _flags(Config.model_fields)}]
    for driver, fields in _driver_fields().items():
        groups.append({"name": f"{driver} driver", "options": _flags(fields)})
    return groups


def unknown_option(flag: str) -> str | None:
    """What to say of an option nobody has, when a driver that is not installed has it."""
    name = flag.lstrip("-").partition("=")[0].replace("-", "_")
    hint = registry.install_hint(name)
    return f"{flag} belongs to a driver that is not installed: {hint}" if hint else None


def parse_queues(text: str) -> list[str]:
    """The names in a comma-separated list; raises `ConfigError` when there is none."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ConfigError("--queues needs at least one name, such as --queues default")
    return names


def _settings() -> dict[str, FieldInfo]:
    fields = dict(Config.model_fields)
    for driver_fields in _driver_fields().values():
        fields.update(driver_fields)
    return fields


def _driver_fields() -> dict[str, dict[str, FieldInfo]]:
    found: dict[str, dict[str, FieldInfo]] = {}
    for driver in registry.driver_names():
        try:
            found[driver] = registry.driver_class(driver).settings_type.model_fields
        except DriverIncompatible:  # says so itself when it is chosen
            continue
    return found


def _flags(names: typing.Iterable[str]) -> list[str]:
    return [f"--{name.replace('_', '-')}" for name in names]


def _click_type(annotation: Any) -> type:
    kinds = _flatten(annotation)
    if int in kinds:
        return int
    return float if float in kinds else str


def _flatten(annotation: Any) -> set[object]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return {kind for part in typing.get_args(annotation) for kind in _flatten(part)}
    if typing.get_origin(annotation) is typing.Annotated:
        return _flatten(typing.get_args(annotation)[0])
    return {annotation}


def _metavar(name: str, field: FieldInfo) -> str:
    kind = _click_type(field.annotation)
    if kind is str:
        return name.rpartition("_")[2].upper()
    return "N" if kind is int else "SECONDS"
