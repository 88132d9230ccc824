"""Types that an application defines: where they are found, and when they differ."""

import datetime as dt
import enum
import sys
import zoneinfo
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import pytest

from asynctasq import MsgpackSerializer, SerializationError, UnknownType
from asynctasq.serialization import Envelope, EnvelopeCodec
from asynctasq.serialization.hooks import type_name


@dataclass
class Doubling:
    """Changes its field when it is made."""

    number: int

    def __post_init__(self) -> None:
        self.number *= 2


class Color(enum.Enum):
    RED = "red"


def packed(tag: str, plain: Any) -> bytes:
    return msgpack.packb(msgpack.ExtType(1, msgpack.packb([tag, plain])))


def test_what_a_constructor_changes_is_not_changed_again() -> None:
    serializer = MsgpackSerializer()
    assert serializer.loads(serializer.dumps(Doubling(2))) == Doubling(2)


def test_a_time_keeps_its_zone() -> None:
    serializer = MsgpackSerializer()
    value = dt.time(1, 2, fold=1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    result: Any = serializer.loads(serializer.dumps(value))
    assert (result, result.tzinfo, result.fold) == (value, value.tzinfo, 1)


def test_a_class_is_no_value() -> None:
    with pytest.raises(SerializationError, match="argument 'kind'"):
        EnvelopeCodec(MsgpackSerializer()).encode(Envelope("m:t", (), {"kind": Doubling}))


@pytest.mark.parametrize(
    ("tag", "plain"),
    [
        ("enum", [f"{__name__}:Color", "violet"]),
        ("enum", [f"{__name__}:Missing", "red"]),
        ("dataclass", [f"{__name__}:Doubling", {"number": 1, "added": 2}]),
        ("dataclass", ["os:system", {}]),
    ],
)
def test_what_a_newer_application_may_know_is_told_apart(tag: str, plain: Any) -> None:
    with pytest.raises(UnknownType):
        MsgpackSerializer().loads(packed(tag, plain))


def test_a_type_of_a_script_has_its_importable_name(monkeypatch: pytest.MonkeyPatch) -> None:
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__spec__", None)
    monkeypatch.setattr(main, "__file__", str(Path("somewhere") / "produce.py"), raising=False)
    color = enum.Enum("ScriptColor", {"RED": "red"}, module="__main__")
    monkeypatch.setattr(main, "ScriptColor", color, raising=False)
    serializer = MsgpackSerializer()
    assert type_name(color) == "produce:ScriptColor"
    assert serializer.loads(serializer.dumps(color["RED"])) is color["RED"]


@pytest.mark.parametrize("number", [-1, float("nan"), float("inf")])
@pytest.mark.parametrize("key", ["r", "x"])
def test_a_number_out_of_range_is_malformed(key: str, number: float) -> None:
    body = MsgpackSerializer().dumps({"v": 1, "t": "x", key: number})
    with pytest.raises(SerializationError, match="malformed"):
        EnvelopeCodec(MsgpackSerializer()).decode(body)


def test_a_delay_of_nothing_travels() -> None:
    codec = EnvelopeCodec(MsgpackSerializer())
    assert codec.decode(codec.encode(Envelope("x", retry_delay=0))).retry_delay == 0
    assert codec.decode(codec.encode(Envelope("x"))).retry_delay is None
