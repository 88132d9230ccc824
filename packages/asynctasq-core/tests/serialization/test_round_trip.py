"""Property: a value that can be serialized equals its decoded copy."""

import datetime as dt
import math
import zoneinfo
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asynctasq import MsgpackSerializer, UnsupportedVersion
from asynctasq.serialization import Envelope, EnvelopeCodec
from asynctasq.testing.search import profile

CODEC = EnvelopeCodec(MsgpackSerializer())
ZONES = st.none() | st.sampled_from([dt.UTC, zoneinfo.ZoneInfo("Europe/Berlin")])

hashable = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.binary() | st.dates() | st.times() | st.timedeltas() | st.uuids()
    | st.datetimes(timezones=ZONES) | st.decimals(allow_nan=False)
)  # fmt: skip
values: st.SearchStrategy[Any] = st.recursive(
    hashable | st.sets(hashable, max_size=3) | st.frozensets(hashable, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers(-(2**63), 2**64 - 1), inner, max_size=3)
    ),
    max_leaves=8,
)
durations = st.none() | st.floats(0, 1e9)
envelopes = st.builds(
    Envelope,
    task=st.text(min_size=1),
    args=st.lists(values, max_size=3),
    kwargs=st.dictionaries(st.text(), values, max_size=3),
    max_attempts=st.none() | st.integers(1, 2**31),
    retry_delay=durations,
    timeout=durations,
    enqueued_at=st.floats(0, 1e12),
    correlation_id=st.none() | st.text(min_size=1),
    headers=st.dictionaries(st.text(), values, max_size=2),
)


def shape(value: Any) -> Any:
    """The value's types all the way down, which `==` does not compare."""
    if isinstance(value, dict):
        return dict, {key: (shape(key), shape(one)) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [shape(one) for one in value]
    if isinstance(value, set | frozenset):
        return type(value), sorted(type(one).__name__ for one in value)
    if isinstance(value, dt.datetime | dt.time):
        return type(value), value.tzinfo, value.fold
    return type(value), math.copysign(1, value) if isinstance(value, float) else None


@profile(150)
@given(envelopes)
def test_an_envelope_comes_out_as_it_went_in(envelope: Envelope) -> None:
    found = CODEC.decode(CODEC.encode(envelope))
    assert (list(found.args), found.kwargs) == (list(envelope.args), envelope.kwargs)
    assert shape([list(found.args), found.kwargs, found.headers]) == shape(
        [list(envelope.args), envelope.kwargs, envelope.headers]
    )
    rest = ("task", "max_attempts", "retry_delay", "timeout", "enqueued_at", "correlation_id")
    for name in (*rest, "headers"):
        assert getattr(found, name) == getattr(envelope, name)


@profile(60)
@given(envelopes, st.dictionaries(st.text(min_size=2), values, max_size=3))
def test_fields_of_a_later_release_change_nothing(
    envelope: Envelope, more: dict[str, object]
) -> None:
    serializer = MsgpackSerializer()
    wire: Any = serializer.loads(CODEC.encode(envelope))
    assert CODEC.decode(serializer.dumps({**more, **wire})) == CODEC.decode(CODEC.encode(envelope))


@profile(60)
@given(values.filter(lambda version: version != 1), st.dictionaries(st.text(), values, max_size=3))
def test_every_other_version_is_told_apart(version: object, more: dict[str, object]) -> None:
    body = MsgpackSerializer().dumps({**more, "v": version})
    with pytest.raises(UnsupportedVersion):
        CODEC.decode(body)
