"""Transports exceptions from a child process to the worker, with or without their type."""

import io
import pickle
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, Self

from asynctasq.errors import TaskError
from asynctasq.importing import importable_module

#: Limits on a pickled exception in bytes, and on its text and traceback in characters.
PICKLE_LIMIT = 16 * 1024 * 1024
TEXT_LIMIT = 64 * 1024

_Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception that a task raised.

    Attributes:
        pickled: the exception; empty if it cannot be unpickled.
        parts: its arguments and attributes, if the exception itself cannot be unpickled.
        kinds: module and qualified name of each class in the method resolution order.
        text: its message.
        line: the name of its type, and its message.
        traceback: as text, since tracebacks do not travel.
    """

    pickled: bytes
    parts: bytes
    kinds: Sequence[_Place]
    text: str
    line: str
    traceback: str

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Returns the failure for `error`."""
        kind = type(error)
        pickled = _pickle(error)
        parts = b"" if pickled else _pickle((error.args, getattr(error, "__dict__", {})))
        lines = "".join(traceback.format_exception_only(error)).strip()
        return cls(
            pickled,
            parts,
            [(base.__module__, base.__qualname__) for base in kind.__mro__],
            _text(error)[:TEXT_LIMIT],
            lines[:TEXT_LIMIT],
            "".join(traceback.format_exception(error))[-TEXT_LIMIT:],
        )

    def exception(self, *, imports: bool = True) -> BaseException:
        """Returns the exception, with its traceback as a note.

        An exception that cannot be unpickled is created without its constructor. If its type is
        not known here, a type of the same name is derived from the nearest known base.

        Args:
            imports: whether modules may be imported to create it.
        """
        for make in self._ways(imports):
            try:
                return _noted(make(), self.traceback)
            except BaseException:  # noqa: BLE001 - the application's exception classes may raise anything
                continue
        return _noted(TaskError(self.line), self.traceback)

    def _ways(self, imports: bool) -> Iterator[Callable[[], BaseException]]:
        """Yields ways to create it, the best first."""
        yield lambda: _an_exception(_Unpickler(self.pickled, imports).load())
        for place in self.kinds:
            with suppress(AttributeError, LookupError):  # not imported in this process
                kind = _find(*place)
                if isinstance(kind, type) and issubclass(kind, BaseException):
                    yield partial(self._like, kind)

    def _like(self, kind: type[BaseException]) -> BaseException:
        """Returns an instance of `kind`, or of a subclass with the name of the original."""
        module, name = self.kinds[0]
        if (kind.__module__, kind.__qualname__) not in (("__main__", name), (module, name)):
            kind = _stand_in(kind, module, name, self.text)
        args, attributes = self._parts()
        error = kind.__new__(kind, *args)
        error.args = tuple(args)
        vars(error).update(attributes)
        return error

    def _parts(self) -> tuple[Sequence[object], dict[str, object]]:
        try:
            args, attributes = _Unpickler(self.parts, imports=False).load()
            return tuple(args), dict(attributes)
        except BaseException:  # noqa: BLE001 - the application's attributes may raise anything
            return (self.text,), {}


class _Unpickler(pickle.Unpickler):
    """Resolves ``__mp_main__``, the main module's name in a child, to the main module here."""

    def __init__(self, data: bytes, imports: bool) -> None:
        super().__init__(io.BytesIO(data))
        self._imports = imports

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Returns the object of that name."""
        try:
            return _find(module_name, global_name)
        except LookupError:
            if not self._imports:
                raise pickle.UnpicklingError(f"{module_name} is not imported here") from None
        return super().find_class(module_name, global_name)


def _find(module_name: str, qualified: str) -> object:
    """Returns the object of that name; imports nothing."""
    found: object = _module(module_name)
    for name in qualified.split("."):
        found = getattr(found, name)
    return found


def _module(name: str) -> ModuleType:
    if name not in sys.modules and name in ("__mp_main__", importable_module("__main__")):
        name = "__main__"
    return sys.modules[name]


def _stand_in(base: type[BaseException], module: str, name: str, text: str) -> type[BaseException]:
    """Returns a type called `name`, whose instances have the message `text`."""

    def message(_error: BaseException) -> str:
        return text

    members: dict[str, object] = {"__module__": module, "__qualname__": name, "__str__": message}
    return type(name.rpartition(".")[2], (base,), members)


def _pickle(value: object) -> bytes:
    """Returns bytes that can be unpickled, or no bytes."""
    try:
        data = pickle.dumps(value)
        pickle.loads(data)
    except BaseException:  # noqa: BLE001 - the application's exception classes may raise anything
        return b""
    return data if len(data) <= PICKLE_LIMIT else b""


def _an_exception(value: object) -> BaseException:
    if not isinstance(value, BaseException):  # its __reduce__ creates another type
        raise TypeError
    return value


def _noted(error: BaseException, note: str) -> BaseException:
    with suppress(Exception):  # an exception may be a frozen dataclass
        error.add_note(note)
    return error


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - the application's __str__ may raise anything
        return ""
