"""Makes command-line options of the settings of core and of the installed drivers."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import rich_click as click
from pydantic.fields import FieldInfo

from asynctasq import Config
from asynctasq.drivers import DriverSettings, registry
from asynctasq.errors import ConfigError, DriverIncompatible
from asynctasq.settings import Settings
from asynctasq_cli.setting_help import setting_help

Command = TypeVar("Command", bound=Callable[..., Any])

#: Accepted but not shown in the help: ``--import`` does the same, and reads better.
_HIDDEN = {"imports"}


def config_options(command: Command) -> Command:
    """Add an option for every setting to a command; values are passed as keyword arguments."""
    for model in reversed(_models().values()):
        texts = setting_help(model)
        for name, field in reversed(model.model_fields.items()):
            option = click.option(
                _flag(name),
                name,
                type=_click_type(field.annotation),
                metavar=_metavar(name, field),
                help=texts[name],
                hidden=name in _HIDDEN,
            )
            command = option(command)
    return command


def make_config(options: dict[str, Any]) -> Config:
    """Return the configuration for the given options."""
    names = {name for model in _models().values() for name in model.model_fields}
    given = {name: options[name] for name in names & options.keys()}
    return Config(**{name: value for name, value in given.items() if value is not None})


def option_groups(own: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Return the groups of options in the help: the command's own, the general, each driver's."""
    groups = [{"name": "Options", "options": [*own]}]
    for title, model in _models().items():
        flags = [_flag(name) for name in model.model_fields if name not in _HIDDEN]
        groups.append({"name": title, "options": flags})
    return groups


def unknown_option(flag: str) -> str | None:
    """Return the error for an option of a driver that is not installed; None for any other."""
    name = flag.lstrip("-").partition("=")[0].replace("-", "_")
    hint = registry.install_hint(name)
    return f"{flag} belongs to a driver that is not installed: {hint}" if hint else None


def driver_settings() -> dict[str, type[DriverSettings]]:
    """Return the settings class of every installed driver, by name."""
    found: dict[str, type[DriverSettings]] = {}
    for driver in registry.driver_names():
        try:
            found[driver] = registry.settings_class(driver)
        except DriverIncompatible:  # raised again when the driver is chosen
            continue
    return found


def client_loggers() -> list[str]:
    """Return the loggers of the installed drivers' client libraries."""
    return [name for settings in driver_settings().values() for name in settings.client_loggers]


def parse_queues(text: str) -> list[str]:
    """Return the names in a comma-separated list; raises `ConfigError` if there are none."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ConfigError("--queues needs at least one name, such as --queues default")
    return names


def _models() -> dict[str, type[Settings]]:
    """Return the settings by their title in the help."""
    drivers = {f"{name} driver": settings for name, settings in driver_settings().items()}
    return {"Configuration": Config, **drivers}


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _click_type(annotation: Any) -> click.Choice[str] | type:
    kinds = _flatten(annotation)
    for kind in kinds:
        if typing.get_origin(kind) is typing.Literal:
            return click.Choice([str(word) for word in typing.get_args(kind)])
    return next((kind for kind in (bool, int, float) if kind in kinds), str)


def _flatten(annotation: Any) -> set[object]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return {kind for part in typing.get_args(annotation) for kind in _flatten(part)}
    if typing.get_origin(annotation) is typing.Annotated:
        return _flatten(typing.get_args(annotation)[0])
    return {annotation}


def _metavar(name: str, field: FieldInfo) -> str | None:
    words = {str: name.rpartition("_")[2].upper(), int: "N", float: "SECONDS"}
    kind = _click_type(field.annotation)
    return words.get(kind) if isinstance(kind, type) else None
