"""Serializes types that MessagePack does not support: each has a hook with a stable tag.

The round trip is exact: the decoded value is equal to the original and has the same type.
"""

import dataclasses
import datetime as dt
import decimal
import enum
import pathlib
import sys
import types
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from asynctasq.errors import SerializationError, TaskNotFound, UnknownType
from asynctasq.importing import importable_module, importer

Time = TypeVar("Time", dt.datetime, dt.time)

type_of = type  # `type` is the name of a field below


@dataclasses.dataclass(frozen=True, slots=True)
class TypeHook:
    """Encodes and decodes values of one type.

    Attributes:
        tag: identifies the type in a message; never change a tag that is in use.
        type: the type itself; with `subclasses`, also every type that derives from it.
        encode: turns a value into plain values.
        decode: turns the plain values back into the value.
    """

    tag: str
    type: type
    encode: Callable[[Any], object]
    decode: Callable[[Any], object]
    subclasses: bool = False


class Hooks:
    """Hooks by type and by tag."""

    def __init__(self, hooks: tuple[TypeHook, ...]) -> None:
        self._exact: dict[type, TypeHook] = {}
        self._families: list[TypeHook] = []
        self._tags: dict[str, TypeHook] = {}
        for hook in hooks:
            self.add(hook)

    def add(self, hook: TypeHook) -> None:
        """Add a hook, before the existing ones."""
        self._tags[hook.tag] = hook
        self._exact[hook.type] = hook
        if hook.subclasses:
            self._families.insert(0, hook)

    def encode(self, value: object) -> tuple[str, object]:
        """Return the tag and the plain form of `value`; raise `SerializationError`."""
        hook = self._exact.get(type_of(value)) or self._family(value)
        if hook is None:
            raise SerializationError(f"cannot serialize a value of type {_type_name_of(value)}")
        return hook.tag, hook.encode(value)

    def decode(self, tag: str, plain: object) -> object:
        """Return the value for a tag and a plain form; raise `SerializationError`."""
        hook = self._tags.get(tag)
        if hook is None:
            raise SerializationError(f"no hook for values tagged {tag!r}")
        return hook.decode(plain)

    def _family(self, value: object) -> TypeHook | None:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return DATACLASS
        return next((hook for hook in self._families if isinstance(value, hook.type)), None)


def type_name(cls: type) -> str:
    """Return ``module:qualname`` of a class, the same in every process."""
    return f"{importable_module(cls.__module__)}:{cls.__qualname__}"


def _type_name_of(value: object) -> str:
    return type_name(type_of(value))


def _resolve(name: str, base: type | None) -> Any:
    """Return the class called `name`, if it derives from `base` (None: is a dataclass)."""
    module_name, _, path = name.partition(":")
    try:
        found: object = _module(module_name)
    except TaskNotFound as error:
        raise UnknownType(f"type {name}: {error}") from error
    for part in path.split("."):
        found = vars(found).get(part) if hasattr(found, "__dict__") else None
    fits = dataclasses.is_dataclass(found) if base is None else _is_subclass(found, base)
    cls = cast(type, found)
    if not (isinstance(found, type) and fits and type_name(cls) == name):
        raise UnknownType(f"type {name} is not known here")
    return cls


def _module(name: str) -> types.ModuleType:
    if name == importable_module("__main__"):  # imported again, its classes would differ
        return sys.modules["__main__"]
    return sys.modules.get(name) or importer.load(name)


def _make(name: str, base: type | None, make: Callable[[Any], object]) -> object:
    """Call `make` with the class called `name`, which may differ from the producer's."""
    cls = _resolve(name, base)
    try:
        return make(cls)
    except Exception as error:  # the class is the application's code
        raise UnknownType(f"type {name} rejects the value: {type(error).__name__}") from error


def _is_subclass(found: object, base: type) -> bool:
    return isinstance(found, type) and issubclass(found, base)


def _encode_time(value: dt.datetime | dt.time) -> object:
    zone = value.tzinfo.key if isinstance(value.tzinfo, zoneinfo.ZoneInfo) else None
    return [value.isoformat(), zone, value.fold]


def _decode_datetime(plain: tuple[str, str | None, int]) -> dt.datetime:
    return _in_zone(dt.datetime.fromisoformat(plain[0]), *plain[1:])


def _decode_time(plain: tuple[str, str | None, int]) -> dt.time:
    return _in_zone(dt.time.fromisoformat(plain[0]), *plain[1:])


def _in_zone(value: Time, zone: str | None, fold: int) -> Time:
    if zone is not None:
        value = value.replace(tzinfo=zoneinfo.ZoneInfo(zone))
    return value.replace(fold=fold)


def _encode_dataclass(value: Any) -> object:
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return [_type_name_of(value), fields]


def _decode_dataclass(plain: tuple[str, dict[str, object]]) -> object:
    name, values = plain
    return _make(name, None, lambda cls: _make_dataclass(cls, values))


def _make_dataclass(cls: Any, values: dict[str, object]) -> object:
    fields = {field.name: field for field in dataclasses.fields(cls)}
    made = cls(**{k: v for k, v in values.items() if k not in fields or fields[k].init})
    for name, value in values.items():  # undo a second conversion by __post_init__
        object.__setattr__(made, name, value)  # the class may be frozen
    return made


def _encode_model(value: BaseModel) -> object:
    return [_type_name_of(value), value.model_dump(by_alias=False)]


def _decode_model(plain: tuple[str, object]) -> object:
    name, values = plain
    return _make(
        name, BaseModel, lambda cls: cls.model_validate(values, by_alias=False, by_name=True)
    )


DATACLASS = TypeHook(
    "dataclass", type_of("Dataclass", (), {}), _encode_dataclass, _decode_dataclass
)

STANDARD_HOOKS = (
    DATACLASS,
    TypeHook("tuple", tuple, list, tuple),
    TypeHook("set", set, list, set),
    TypeHook("frozenset", frozenset, list, frozenset),
    TypeHook("int", int, str, int),  # beyond 64 bits
    TypeHook("datetime", dt.datetime, _encode_time, _decode_datetime),
    TypeHook("date", dt.date, dt.date.isoformat, dt.date.fromisoformat),
    TypeHook("time", dt.time, _encode_time, _decode_time),
    TypeHook(
        "timedelta",
        dt.timedelta,
        lambda v: [v.days, v.seconds, v.microseconds],
        lambda p: dt.timedelta(*p),
    ),
    TypeHook("decimal", decimal.Decimal, str, decimal.Decimal),
    TypeHook("uuid", uuid.UUID, lambda v: v.bytes, lambda p: uuid.UUID(bytes=p)),
    TypeHook("path", pathlib.Path, str, pathlib.Path, subclasses=True),
    TypeHook(
        "enum",
        enum.Enum,
        lambda v: [_type_name_of(v), v.value],
        lambda p: _make(p[0], enum.Enum, lambda cls: cls(p[1])),
        subclasses=True,
    ),
    TypeHook("model", BaseModel, _encode_model, _decode_model, subclasses=True),
)
