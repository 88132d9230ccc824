"""Decoded values equal the originals; errors name the argument that cannot be serialized."""

import datetime as dt
import enum
import pickle
import zoneinfo
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgpack
import pytest
from pydantic import BaseModel

from asynctasq import MsgpackSerializer, SerializationError, SignatureError, UnsupportedVersion
from asynctasq.serialization import Envelope, EnvelopeCodec, Signer


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


@dataclass(frozen=True)
class Point:
    x: int
    tags: tuple[str, ...] = ()
    total: int = field(init=False, default=3)


class Order(BaseModel):
    id: int
    price: Decimal


BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
VALUES: list[Any] = [
    None, True, 1, -1, 2**63, 2**200, -(2**200), 1.5, "text", "\U0001f600", b"\x00\xff", [1, [2]],
    {"a": 1, 2: "b"}, (1, (2, 3)), {1, 2}, frozenset({(1, 2)}), {(1, 2): 3},
    dt.datetime(2026, 1, 2, 3, 4, 5, 6), dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
    dt.datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
    dt.datetime(2026, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=-3))),
    dt.date(2026, 1, 2), dt.time(1, 2, 3, 4), dt.timedelta(days=-1, microseconds=5),
    Decimal("1.10"), UUID(int=7), Path("/a/b"), Color.RED, Level.LOW, Point(1, ("a",)),
    Order(id=1, price=Decimal("9.90")), [Point(2), {"deep": (Color.RED,)}],
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_the_round_trip_is_exact(value: Any) -> None:
    serializer = MsgpackSerializer()
    result = serializer.loads(serializer.dumps(value))
    assert result == value
    assert type(result) is type(value)
    if isinstance(value, dt.datetime):
        assert (result.tzinfo, result.fold) == (value.tzinfo, value.fold)


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value", [object(), lambda: 1, "\ud800", deep(2000), open], ids=lambda v: type(v).__name__
)
def test_what_cannot_travel_is_named(value: Any) -> None:
    codec = EnvelopeCodec(MsgpackSerializer())
    with pytest.raises(SerializationError, match="m:task: argument 'second'"):
        codec.encode(Envelope("m:task", (1,), {"first": 1, "second": value}))
    with pytest.raises(SerializationError, match="m:task: argument '2'"):
        codec.encode(Envelope("m:task", (1, value)))


GOOD = EnvelopeCodec(MsgpackSerializer()).encode(Envelope("m:task", (1,), {"a": 2}))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"garbage", b"\xc1", b"\xc1\x00garbage", b"\x80", GOOD[:-1], GOOD + b"x", b"\x91\x01",
        MsgpackSerializer().dumps({"v": 1}), MsgpackSerializer().dumps({"v": 1, "t": 5}),
        MsgpackSerializer().dumps({"v": 1, "t": "x", "a": 5}),
        MsgpackSerializer().dumps({"v": 1, "t": "x", "k": [1]}),
        MsgpackSerializer().dumps({"v": 1, "t": "x", "n": "many"}),
        b"\xc7\x03\x01abc", b"\xc7\x03\x05abc",
    ],
)  # fmt: skip
def test_whatever_is_no_message_is_a_serialization_error(body: bytes) -> None:
    with pytest.raises(SerializationError):
        EnvelopeCodec(MsgpackSerializer()).decode(body)


def test_a_newer_version_is_told_apart() -> None:
    with pytest.raises(UnsupportedVersion, match="version 2"):
        EnvelopeCodec(MsgpackSerializer()).decode(MsgpackSerializer().dumps({"v": 2, "new": 1}))


def test_unknown_keys_do_no_harm() -> None:
    body = MsgpackSerializer().dumps({"v": 1, "t": "m:task", "future": [1]})
    assert EnvelopeCodec(MsgpackSerializer()).decode(body).task == "m:task"


@pytest.mark.parametrize(
    "name",
    ["os:system", "subprocess:Popen", "builtins:eval", "builtins:dict", "pathlib:Path",
     "nosuchmodule:X", f"{__name__}:dataclass", f"{__name__}:Order.__init__", "x", ":", ""],
)  # fmt: skip
@pytest.mark.parametrize("tag", ["enum", "dataclass", "model"])
def test_a_message_cannot_name_any_type_it_likes(name: str, tag: str) -> None:
    packed = msgpack.packb(msgpack.ExtType(1, msgpack.packb([tag, [name, {}]])))
    with pytest.raises(SerializationError):
        MsgpackSerializer().loads(packed)


def test_signatures_are_checked_and_keys_rotate() -> None:
    old, new = Signer(["old"]), Signer(["new", "old"])
    assert new.verify(old.sign(b"body")) == b"body"
    assert new.verify(new.sign(b"body")) == b"body"
    for signer, data in [
        (old, new.sign(b"body")),
        (new, b"body"),
        (new, old.sign(b"body")[:-1] + b"x"),
        (Signer(), old.sign(b"body")),
    ]:
        with pytest.raises(SignatureError):
            signer.verify(data)
    assert "old" not in repr(new)


def test_a_serializer_travels_to_child_processes() -> None:
    copy = pickle.loads(pickle.dumps(MsgpackSerializer()))
    assert copy.loads(copy.dumps((1, 2))) == (1, 2)
