"""How values that MessagePack does not know travel: each type has a hook with a stable tag.

The round trip is exact: what comes out equals what went in and has the same type.
"""

import dataclasses
import datetime as dt
import decimal
import enum
import pathlib
import sys
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, cast

from pydantic import BaseModel

from asynctasq.errors import SerializationError, TaskNotFound
from asynctasq.importing import importer

type_of = type  # `type` is the name of a field below


@dataclasses.dataclass(frozen=True, slots=True)
class TypeHook:
    """How one type travels.

    Attributes:
        tag: what stands for the type in a message; never change one that is in use.
        type: the type itself; with `subclasses`, also all that derive from it.
        encode: makes plain values of a value.
        decode: makes the value again.
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
        """Add a hook; it goes before those that are there."""
        self._tags[hook.tag] = hook
        self._exact[hook.type] = hook
        if hook.subclasses:
            self._families.insert(0, hook)

    def encode(self, value: object) -> tuple[str, object]:
        """The tag and the plain form of `value`; raises `SerializationError`."""
        hook = self._exact.get(type_of(value)) or self._family(value)
        if hook is None:
            raise SerializationError(f"a value of type {_type_name_of(value)} cannot travel")
        return hook.tag, hook.encode(value)

    def decode(self, tag: str, plain: object) -> object:
        """The value for a tag and a plain form; raises `SerializationError`."""
        hook = self._tags.get(tag)
        if hook is None:
            raise SerializationError(f"no hook for values tagged {tag!r}")
        return hook.decode(plain)

    def _family(self, value: object) -> TypeHook | None:
        if dataclasses.is_dataclass(value):
            return DATACLASS
        return next((hook for hook in self._families if isinstance(value, hook.type)), None)


def type_name(cls: type) -> str:
    """``module:qualname`` of a class."""
    return f"{cls.__module__}:{cls.__qualname__}"


def _type_name_of(value: object) -> str:
    return type_name(type_of(value))


def _resolve(name: str, base: type | None) -> Any:
    """The class called `name`, if it is of the kind the message says."""
    module_name, _, path = name.partition(":")
    try:
        found: object = sys.modules.get(module_name) or importer.load(module_name)
    except TaskNotFound as error:
        raise SerializationError(f"type {name}: {error}") from error
    for part in path.split("."):
        found = vars(found).get(part) if hasattr(found, "__dict__") else None
    fits = dataclasses.is_dataclass(found) if base is None else _is_subclass(found, base)
    cls = cast(type, found)
    if not (isinstance(found, type) and fits and type_name(cls) == name):
        raise SerializationError(f"type {name} is not known here")
    return cls


def _is_subclass(found: object, base: type) -> bool:
    return isinstance(found, type) and issubclass(found, base)


def _encode_datetime(value: dt.datetime) -> object:
    zone = value.tzinfo.key if isinstance(value.tzinfo, zoneinfo.ZoneInfo) else None
    return [value.isoformat(), zone, value.fold]


def _decode_datetime(plain: tuple[str, str | None, int]) -> dt.datetime:
    text, zone, fold = plain
    value = dt.datetime.fromisoformat(text)
    if zone is not None:
        value = value.replace(tzinfo=zoneinfo.ZoneInfo(zone))
    return value.replace(fold=fold)


def _encode_dataclass(value: Any) -> object:
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return [_type_name_of(value), fields]


def _decode_dataclass(plain: tuple[str, dict[str, object]]) -> object:
    cls = _resolve(plain[0], None)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    arguments = {k: v for k, v in plain[1].items() if k not in fields or fields[k].init}
    value = cls(**arguments)
    for name in plain[1].keys() - arguments.keys():
        object.__setattr__(value, name, plain[1][name])  # the class may be frozen
    return value


def _encode_model(value: BaseModel) -> object:
    return [_type_name_of(value), value.model_dump(by_alias=False)]


def _decode_model(plain: tuple[str, object]) -> object:
    return cast("type[BaseModel]", _resolve(plain[0], BaseModel)).model_validate(
        plain[1], by_alias=False, by_name=True
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
    TypeHook("datetime", dt.datetime, _encode_datetime, _decode_datetime),
    TypeHook("date", dt.date, dt.date.isoformat, dt.date.fromisoformat),
    TypeHook("time", dt.time, lambda v: [v.isoformat(), v.fold], lambda p: _decode_time(*p)),
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
        lambda p: _resolve(p[0], enum.Enum)(p[1]),
        subclasses=True,
    ),
    TypeHook("model", BaseModel, _encode_model, _decode_model, subclasses=True),
)


def _decode_time(text: str, fold: int) -> dt.time:
    return dt.time.fromisoformat(text).replace(fold=fold)
