"""Finds an emitter by name, through entry points.

A package provides an emitter with an entry point in ``asynctasq.emitters``. The entry point names
an emitter, or a callable that takes the `Config` and returns an emitter. The same holds for an
object given as ``module:object``.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from inspect import isclass
from typing import TypeGuard

from asynctasq.config import Config
from asynctasq.drivers.registry import install_hint
from asynctasq.errors import ConfigError
from asynctasq.events.stream import EventEmitter

GROUP = "asynctasq.emitters"


def emitter_names() -> list[str]:
    """Return the names of the installed emitters."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def check_names(names: Sequence[str]) -> None:
    """Raise `ConfigError` for a name that is neither installed nor ``module:object``."""
    known = emitter_names()
    for name in names:
        if ":" not in name and name not in known:
            hint = install_hint(name)
            suffix = f"; for {name}: {hint}" if hint else ""
            raise ConfigError(
                f"unknown emitter {name!r}; known are {', '.join(known)}, or your own as "
                f"module:object{suffix}"
            )


def make_emitter(name: str, config: Config) -> EventEmitter:
    """Return the emitter called `name`, or the one at ``module:object``.

    Raises:
        ConfigError: there is none, or it cannot be created.
    """
    check_names([name])
    try:
        found = _load(name)
        made: object = found(config) if _is_factory(found) else found
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigError(f"the emitter {name!r} cannot be created: {error}") from error
    if not isinstance(made, EventEmitter):
        raise ConfigError(f"the emitter {name!r} has no method emit(event)")
    return made


def _load(name: str) -> object:
    if ":" in name:
        return EntryPoint(name, name, GROUP).load()
    (entry,) = entry_points(group=GROUP, name=name)
    return entry.load()


def _is_factory(found: object) -> TypeGuard[Callable[[Config], object]]:
    return callable(found) and (isclass(found) or not hasattr(found, "emit"))
