"""Checks and converts a task's arguments: at the call, and again in the worker."""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

from asynctasq.errors import InvalidArguments

_EXACT = (str, int, float, bool, bytes)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Checker:
    """Converts values to one annotation; values that already have its type pass unchanged."""

    def __init__(self, annotation: Any) -> None:
        self._exact: type | None = annotation if annotation in _EXACT else None
        self._adapter = _adapter(annotation)

    def convert(self, value: object) -> object:
        """Convert a value; raise pydantic's ValidationError if it does not fit."""
        if self._adapter is None or type(value) is self._exact:
            return value
        return self._adapter.validate_python(value)


class Parameters:
    """The parameters of a function, or of a class's constructor.

    They are inspected on first use: ``@dataclass`` adds its constructor after the class is
    created, and annotations may name types that are defined further down.
    """

    def __init__(self, name: str, target: Callable[..., Any]) -> None:
        self._name = name
        self._target = target

    def check(self, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        """Raise `InvalidArguments` if a call with these arguments cannot work."""
        if not self._fits_by_name(args, kwargs):  # ten times as fast as `bind`
            try:
                self._signature.bind(*args, **kwargs)
            except TypeError as error:
                raise InvalidArguments(f"{self._name}(): {error}") from None
        self.convert(args, kwargs)

    def convert(
        self, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> tuple[list[object], dict[str, object]]:
        """Convert the arguments to their annotations; raise `InvalidArguments`."""
        names = self._positional[: len(args)]
        names += ["*"] * (len(args) - len(names))
        return (
            [self._convert(name, value) for name, value in zip(names, args, strict=True)],
            {name: self._convert(name, value) for name, value in kwargs.items()},
        )

    def _fits_by_name(self, args: Sequence[object], kwargs: Mapping[str, object]) -> bool:
        given = {*self._positional[: len(args)], *kwargs}
        each_once = len(given) == len(args) + len(kwargs)
        return each_once and self._required <= given <= self._names

    def _convert(self, name: str, value: object) -> object:
        checker = self._checkers.get(name) or self._checkers.get("**")
        if checker is None:
            return value
        try:
            return checker.convert(value)
        except ValidationError as error:
            reason = error.errors(include_url=False, include_input=False)[0]["msg"]
            raise InvalidArguments(f"{self._name}(): argument {name!r}: {reason}") from None

    @functools.cached_property
    def _function(self) -> Callable[..., Any]:
        return self._target.__init__ if isinstance(self._target, type) else self._target

    @functools.cached_property
    def _signature(self) -> inspect.Signature:
        signature = inspect.signature(self._function)
        if isinstance(self._target, type):
            without_self = list(signature.parameters.values())[1:]
            return signature.replace(parameters=without_self)
        return signature

    @functools.cached_property
    def _positional(self) -> list[str]:
        return [p.name for p in self._signature.parameters.values() if p.kind in _POSITIONAL]

    @functools.cached_property
    def _names(self) -> frozenset[str]:
        """All names, if every parameter can be passed by name; else none."""
        parameters = self._signature.parameters.values()
        if not all(p.kind in _NAMED for p in parameters):
            return frozenset()
        return frozenset(p.name for p in parameters)

    @functools.cached_property
    def _required(self) -> frozenset[str]:
        parameters = self._signature.parameters.values()
        return frozenset(p.name for p in parameters if p.default is p.empty)

    @functools.cached_property
    def _checkers(self) -> dict[str, Checker]:
        try:
            hints = typing.get_type_hints(self._function, include_extras=True)
        except (NameError, TypeError, AttributeError):
            return {}  # a name that exists only for type checkers: nothing to check against
        checkers: dict[str, Checker] = {}
        for parameter in self._signature.parameters.values():
            if parameter.name in hints:
                stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}
                key = stars.get(parameter.kind, parameter.name)
                checkers[key] = Checker(hints[parameter.name])
        return checkers


def _adapter(annotation: Any) -> TypeAdapter[Any] | None:
    if annotation is Any or annotation is object:
        return None
    config = ConfigDict(arbitrary_types_allowed=True, hide_input_in_errors=True)
    try:
        try:
            return TypeAdapter(annotation, config=config)
        except PydanticUserError:  # a model or dataclass has a configuration of its own
            return TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation):
        return None  # pydantic cannot check this annotation
