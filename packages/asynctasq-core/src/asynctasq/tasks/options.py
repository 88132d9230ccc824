"""The options of a task and of a call, and the checks of their values."""

import math
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Union, cast, get_args, get_origin

from asynctasq.config import RetryStrategy
from asynctasq.errors import ConfigError

Exceptions = tuple[type[BaseException], ...]
#: The accepted forms of `Exceptions`: one class, or several.
ExceptionTypes = type[BaseException] | Iterable[type[BaseException]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """The options of a task; None means the configuration's default.

    Attributes:
        queue: where calls go.
        max_attempts: deliveries before a failing call is dead.
        retry_delay: seconds before the second attempt.
        retry_strategy: "fixed" waits `retry_delay` each time; "exponential" doubles it for each
            attempt and takes a random part of that ("full jitter").
        retry_max_delay: the longest wait between attempts, in seconds.
        retry_on: retry only these exceptions; one class, or any iterable of classes.
        give_up_on: do not retry these, likewise.
        timeout: the time limit of one attempt, in seconds.
    """

    queue: str | None = None
    max_attempts: int | None = None
    retry_delay: float | None = None
    retry_strategy: RetryStrategy | None = None
    retry_max_delay: float = 3600.0
    retry_on: Exceptions = (Exception,)
    give_up_on: Exceptions = ()
    timeout: float | None = None

    def __post_init__(self) -> None:
        check_queue(self.queue)
        check_count("max_attempts", self.max_attempts)
        check_number("retry_delay", self.retry_delay, at_least=0)
        check_number("retry_max_delay", self.retry_max_delay, at_least=0)
        check_number("timeout", self.timeout, above=0)
        for name in ("retry_on", "give_up_on"):  # a frozen dataclass converts its values like this
            object.__setattr__(self, name, as_exceptions(name, getattr(self, name)))
        if self.retry_strategy not in (None, *get_args(RetryStrategy)):
            raise ConfigError(
                f"retry_strategy must be 'fixed' or 'exponential', not {self.retry_strategy!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """The options of one call; None means the task's own option. Times are in seconds."""

    queue: str | None = None
    delay: float = 0.0
    max_attempts: int | None = None
    retry_delay: float | None = None
    timeout: float | None = None
    correlation_id: str | None = None

    def __post_init__(self) -> None:
        check_queue(self.queue)
        check_number("delay", self.delay, at_least=0)
        check_count("max_attempts", self.max_attempts)
        check_number("retry_after", self.retry_delay, at_least=0)
        check_number("timeout", self.timeout, above=0)
        check_text("a correlation id", self.correlation_id)


def as_exceptions(name: str, value: object) -> Exceptions:
    """Return the exception classes in `value`; raise `ConfigError` for anything else."""
    try:
        return tuple(_exceptions(value))
    except (TypeError, RecursionError):  # not iterable, or endless
        raise ConfigError(
            f"{name} must be an exception class or several, as in {name}=(ValueError, OSError), "
            f"not {value!r}"
        ) from None


def _exceptions(value: object) -> Iterator[type[BaseException]]:
    """Flatten nested tuples and unions, as `isinstance` accepts them, and other iterables."""
    if isinstance(value, type) and issubclass(value, BaseException):
        yield value
    elif get_origin(value) in (Union, types.UnionType):
        yield from _exceptions(get_args(value))
    elif isinstance(value, (str, bytes)):  # a string iterates over strings, without an end
        raise TypeError
    else:
        for item in cast("Iterable[object]", value):
            yield from _exceptions(item)


def check_queue(name: object) -> None:
    """Raise `ConfigError` unless `name` is a valid queue name or None."""
    check_text("a queue's name", name)


def check_text(what: str, value: object) -> None:
    """Raise `ConfigError` unless `value` is None or a string that is not empty."""
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise ConfigError(f"{what} must be a string that is not empty, not {value!r}")


def check_count(name: str, value: object) -> None:
    """Raise `ConfigError` unless `value` is None or a whole number of at least 1."""
    check_number(name, value, at_least=1)
    if not isinstance(value, (int, type(None))):
        raise ConfigError(f"{name} must be a whole number, not {value!r}")


def check_number(
    name: str, value: object, *, at_least: float | None = None, above: float | None = None
) -> None:
    """Raise `ConfigError` unless `value` is None or a number within the bounds."""
    if value is None:
        return
    number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{name} must be a finite number, not {value!r}")
    if at_least is not None and number < at_least:
        raise ConfigError(f"{name} must be at least {at_least:g}, not {value!r}")
    if above is not None and number <= above:
        raise ConfigError(f"{name} must be more than {above:g}, not {value!r}")
