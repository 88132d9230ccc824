"""Reading random bytes ends soon, with an envelope or with a SerializationError."""

import struct
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asynctasq import MsgpackSerializer, SerializationError
from asynctasq.serialization import Envelope, EnvelopeCodec, Signer
from asynctasq.serialization.msgpack import MAX_DEPTH
from asynctasq.testing.search import profile

CODEC = EnvelopeCodec(MsgpackSerializer())
SIGNED = EnvelopeCodec(MsgpackSerializer(), Signer(["key"]))
REAL = CODEC.encode(
    Envelope(
        "module:task",
        (1, "text", b"bytes", (1, 2), {3}, 2**70, 1.5, None),
        {"deep": [{"er": [frozenset({1})]}]},
        max_attempts=3,
        retry_delay=0.5,
        timeout=9.0,
        enqueued_at=1e9,
        correlation_id="request",
        headers={"a": "b"},
    )
)

SECONDS = 5.0  # of one body; a slow machine takes milliseconds
MEGABYTES = 64


def read(body: bytes) -> Envelope | None:
    """The envelope, or None where the documented error says that there is none."""
    started = time.monotonic()
    try:
        found = CODEC.decode(body)
    except SerializationError:
        found = None
    assert time.monotonic() - started < SECONDS
    return found


@profile(500)
@given(st.binary(max_size=200))
@example(b"\xc1signed1" + b"\0" * 40)
def test_random_bytes(body: bytes) -> None:
    read(body)


@pytest.mark.parametrize("length", range(len(REAL)))
def test_a_body_that_was_cut_off_is_no_envelope(length: int) -> None:
    assert read(REAL[:length]) is None


@profile(500)
@given(
    st.lists(st.tuples(st.integers(0, len(REAL) - 1), st.integers(1, 255)), min_size=1, max_size=4)
)
def test_bits_that_were_flipped(flips: list[tuple[int, int]]) -> None:
    body = bytearray(REAL)
    for place, bits in flips:
        body[place] ^= bits
    read(bytes(body))


def nested(opening: bytes, levels: int) -> bytes:
    return opening * levels + b"\xc0"


def nested_extensions(levels: int) -> bytes:
    body = msgpack.packb(["set", []])
    for _ in range(levels):
        body = msgpack.packb(["tuple", msgpack.ExtType(1, body)])
    return msgpack.packb(msgpack.ExtType(1, body))


@pytest.mark.parametrize("levels", [10, 500, 1024, 5000, 1_000_000])
@pytest.mark.parametrize(
    "opening", [b"\x91", b"\x81\xa1v", b"\xdd\x00\x00\x00\x01", b"\x81"], ids=repr
)
def test_deep_nesting(opening: bytes, levels: int) -> None:
    assert read(nested(opening, levels)) is None


@pytest.mark.parametrize("levels", [10, 100, 500, 2000])
def test_deeply_nested_values_of_types(levels: int) -> None:
    """Each level is a call of the decoder; its C code does not look how much stack there is."""
    assert read(nested_extensions(levels)) is None


def test_values_of_types_may_be_as_deep_as_they_can_be_read() -> None:
    value: object = ()
    for _ in range(MAX_DEPTH - 1):
        value = (value,)
    serializer = MsgpackSerializer()
    assert serializer.loads(serializer.dumps(value)) == value
    for deeper in ((value,), [{"a": (value,)}], deep(3000)):
        with pytest.raises(SerializationError):
            serializer.dumps(deeper)


def deep(levels: int) -> object:
    value: object = ()
    for _ in range(levels):
        value = (value,)
    return value


@pytest.mark.parametrize(
    "start",
    [b"\xdd", b"\xdf", b"\xdb", b"\xc6", b"\xc9"],
    ids=["array", "map", "str", "bin", "ext"],
)
@pytest.mark.parametrize("length", [2**16, 2**31 - 1, 2**32 - 1])
def test_a_length_that_is_a_lie_takes_no_memory(start: bytes, length: int) -> None:
    tracemalloc.start()
    try:
        assert read(start + struct.pack(">I", length) + b"\x01\x01\x01") is None
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MEGABYTES * 2**20


@profile(200)
@given(st.integers(-128, 127), st.binary(max_size=30))
def test_extension_types(code: int, data: bytes) -> None:
    sizes = {1: b"\xd4", 2: b"\xd5", 4: b"\xd6", 8: b"\xd7", 16: b"\xd8"}
    head = sizes.get(len(data), b"\xc7" + bytes([len(data)]))
    body = head + struct.pack("b", code) + data
    assert read(body) is None
    found = read(b"\x83\xa1v\x01\xa1t\xa1x\xa1a\x91" + body)
    assert found is None or code == 1 or isinstance(found.args[0], msgpack.Timestamp)


#: What a hook's plain form can be made of.
plain: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
TAGS = ["tuple", "set", "frozenset", "int", "datetime", "date", "time", "timedelta", "decimal",
        "uuid", "path", "enum", "dataclass", "model", "unknown"]  # fmt: skip


@profile(300)
@given(st.sampled_from(TAGS), plain)
@example("int", "9" * 100_000)
@example("decimal", "1e999999999")
@example("timedelta", [10**18, 0, 0])
@example("datetime", ["2026-01-01T00:00:00", "../../etc/passwd", 0])
@example("time", ["00:00:00", "/etc/passwd", 0])
@example("enum", [["os", "system"], 1])
@example("dataclass", {"a": 1})
@example("set", [[], {}])
def test_every_hook_takes_anything(tag: str, value: Any) -> None:
    inner = msgpack.packb([tag, value])
    envelope = {"v": 1, "t": "x", "a": [msgpack.ExtType(1, inner)]}
    read(msgpack.packb(envelope))


@profile(200)
@given(st.dictionaries(st.sampled_from("vtaknrxechz"), plain | st.integers(0, 2), max_size=8))
def test_every_field_takes_anything(fields: dict[str, Any]) -> None:
    found = read(msgpack.packb({"v": 1, **fields}))
    if found is not None:
        assert isinstance(found.task, str)
        assert isinstance(found.kwargs, dict)


def flipped(body: bytes, place: int, bits: int) -> bytes:
    return body[:place] + bytes([body[place] ^ bits]) + body[place + 1 :]


def cut(body: bytes, place: int, bits: int) -> bytes:
    return body[:place]


def grown(body: bytes, place: int, bits: int) -> bytes:
    return body[:place] + bytes([bits]) + body[place:]


@profile(300)
@given(
    st.sampled_from([flipped, cut, grown]),
    st.integers(0, len(SIGNED.encode(Envelope("m:task", (1,)))) - 1),
    st.integers(1, 255),
)
def test_a_signed_body_that_was_touched_anywhere_is_refused(
    touch: Callable[[bytes, int, int], bytes], place: int, bits: int
) -> None:
    body = SIGNED.encode(Envelope("m:task", (1,)))
    with pytest.raises(SerializationError):
        SIGNED.decode(touch(body, place, bits))
