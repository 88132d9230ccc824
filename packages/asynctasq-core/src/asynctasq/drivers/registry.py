"""Finds driver classes by name or by URL scheme, through entry points.

A package provides a driver with an entry point in ``asynctasq.drivers`` whose name is the
driver's, and another in ``asynctasq.schemes`` for each URL scheme it reads. An entry point of
the same name in ``asynctasq.settings`` gives access to its settings without loading the driver.
"""

from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from asynctasq.drivers.base_driver import BaseDriver
from asynctasq.drivers.settings import DriverSettings
from asynctasq.errors import DriverIncompatible, DriverNotFound
from asynctasq.settings import did_you_mean

DRIVERS = "asynctasq.drivers"
SCHEMES = "asynctasq.schemes"
SETTINGS = "asynctasq.settings"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Hint:
    """URL schemes and first words of settings of a driver that may not be installed."""

    schemes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


#: By the name of the driver, which is its extra: the only place in core that names brokers, for
#: errors that say what to install.
INSTALL_HINTS = {
    "redis": Hint(("redis", "rediss", "unix", "valkey", "valkeys"), ("redis",)),
    "rabbitmq": Hint(("amqp", "amqps"), ("rabbitmq",)),
    "sqs": Hint(words=("sqs", "aws")),
    "postgres": Hint(("postgres", "postgresql"), ("postgres",)),
    "mysql": Hint(("mysql", "mariadb"), ("mysql",)),
}


def driver_names() -> list[str]:
    """Returns the names of the installed drivers."""
    return sorted(_entry_points(DRIVERS))


def driver_class(name: str) -> type[BaseDriver]:
    """Returns the class of the driver called `name`.

    Raises:
        DriverNotFound: no installed package provides it; the text says what to install.
        DriverIncompatible: its package does not load, or is not a driver.
    """
    entry = _entry_points(DRIVERS).get(name)
    if entry is None:
        raise DriverNotFound(_not_found(name))
    return _load(entry, BaseDriver)


def settings_class(name: str) -> type[DriverSettings]:
    """Returns the settings class of the driver called `name`; raises as `driver_class` does."""
    if entry := _entry_points(SETTINGS).get(name):
        return _load(entry, DriverSettings)
    return driver_class(name).settings_type


def driver_for_scheme(scheme: str) -> str:
    """Returns the name of the driver that reads URLs of `scheme`; raises `DriverNotFound`."""
    entry = _entry_points(SCHEMES).get(scheme)
    if entry is not None:
        return next(
            name for name, other in _entry_points(DRIVERS).items() if other.value == entry.value
        )
    for driver, hint in INSTALL_HINTS.items():
        if scheme.partition("+")[0] in hint.schemes:
            raise DriverNotFound(_not_found(driver))
    schemes = ", ".join(sorted(_entry_points(SCHEMES)))
    raise DriverNotFound(f"no driver reads {scheme}:// URLs; known are {schemes}")


def install_hint(setting: str) -> str | None:
    """Returns the command that installs the driver of `setting`; None if it is installed."""
    word = setting.partition("_")[0]
    for driver, hint in INSTALL_HINTS.items():
        if word in hint.words and driver not in _entry_points(DRIVERS):
            return _install(driver)
    return None


def _install(driver: str) -> str:
    return f"pip install 'asynctasq[{driver}]'"


def _not_found(name: str) -> str:
    if name in INSTALL_HINTS:
        return f"the {name} driver is not installed: {_install(name)}"
    installed = driver_names()
    close = did_you_mean(name, [*installed, *INSTALL_HINTS])
    hint = f"did you mean {close!r}?" if close else f"installed are {', '.join(installed)}"
    return f"unknown driver {name!r}; {hint}"


@cache
def _entry_points(group: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=group)}


def _load(entry: EntryPoint, kind: type[T]) -> type[T]:
    try:
        loaded: object = entry.load()
    except (ImportError, AttributeError) as error:
        raise DriverIncompatible(
            f"the {entry.name} driver does not load ({error}); "
            "install the same version of all asynctasq packages"
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, kind)):
        raise DriverIncompatible(f"{entry.value} is not a subclass of asynctasq.{kind.__name__}")
    return loaded
