"""The body of a message: a versioned envelope around a call.

On the wire it is a map with short keys; fields that are not set are absent. A reader ignores
unknown keys, and they survive: a retry never rewrites the body.
"""

import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, cast

from pydantic import SecretStr

from asynctasq.errors import SerializationError, UnsupportedVersion
from asynctasq.serialization.serializer import BaseSerializer
from asynctasq.serialization.signing import Signer

VERSION = 1


def _no_items() -> dict[str, object]:
    return {}  # three times as fast as `dict[str, object]` as a factory


@dataclass(slots=True)  # not frozen: that takes five times as long to create
class Envelope:
    """One dispatched call.

    Attributes:
        enqueued_at: seconds since the epoch by the producer's clock; to display, never for
            decisions.
        max_attempts, retry_delay, timeout: options of this call, times in seconds; None for the
            task's own option.
        correlation_id: the id of the request or task that dispatched the call.
        headers: further data stored with the call, for extensions.
    """

    task: str
    args: Sequence[object] = ()
    kwargs: Mapping[str, object] = field(default_factory=_no_items)
    max_attempts: int | None = None
    retry_delay: float | None = None
    timeout: float | None = None
    enqueued_at: float = 0.0
    correlation_id: str | None = None
    headers: Mapping[str, object] = field(default_factory=_no_items)


# field of Envelope -> key on the wire
_KEYS = {
    "args": "a",
    "kwargs": "k",
    "max_attempts": "n",
    "retry_delay": "r",
    "timeout": "x",
    "enqueued_at": "e",
    "correlation_id": "c",
    "headers": "h",
}
_values = attrgetter(*_KEYS)


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of Envelope, and its allowed values in a message."""

    name: str
    types: tuple[type, ...]
    positive: bool = False

    def check(self, value: Any) -> object:
        """Return `value` if it is None, or finite and at least 0; else raise TypeError."""
        if value is not None and not 0 <= value < math.inf:
            raise TypeError(f"unexpected {value!r}")
        return value


_NONE = type(None)
# by key on the wire
_FIELDS = {
    "t": _Field("task", (str,)),
    "a": _Field("args", (list, tuple)),
    "k": _Field("kwargs", (dict,)),
    "n": _Field("max_attempts", (int, _NONE), positive=True),
    "r": _Field("retry_delay", (int, float, _NONE), positive=True),
    "x": _Field("timeout", (int, float, _NONE), positive=True),
    "e": _Field("enqueued_at", (int, float)),
    "c": _Field("correlation_id", (str, _NONE)),
    "h": _Field("headers", (dict,)),
}


class EnvelopeCodec:
    """Encodes and decodes envelopes; signs and verifies them if there are keys."""

    def __init__(self, serializer: BaseSerializer, signer: Signer | None = None) -> None:
        self._serializer = serializer
        self._signer = signer or Signer()

    def encode(self, envelope: Envelope) -> bytes:
        """Return the body for `envelope`.

        Raises:
            SerializationError: an argument cannot be serialized; the message names it.
        """
        wire: dict[str, object] = {"v": VERSION, "t": envelope.task}
        fields = zip(_KEYS.values(), _values(envelope), strict=True)
        wire |= {k: v for k, v in fields if v or v == 0}  # a retry delay of 0 s is set, too
        if envelope.args:
            wire["a"] = list(envelope.args)
        try:
            body = self._serializer.dumps(wire)
        except SerializationError as error:
            raise self._name_culprit(envelope, error) from error
        return self._signer.sign(body)

    def decode(self, body: bytes) -> Envelope:
        """Return the envelope in `body`.

        Raises:
            SignatureError: the signature is missing, wrong, or not expected.
            UnsupportedVersion: a newer release wrote the message.
            SerializationError: the body is not an envelope.
        """
        wire = self._serializer.loads(self._signer.verify(body))
        if not isinstance(wire, dict) or "v" not in wire:
            raise SerializationError("the body is not an AsyncTasQ message")
        fields = cast("dict[str, object]", wire)
        if fields["v"] != VERSION:
            raise UnsupportedVersion(
                f"the message has version {reprlib.repr(fields['v'])}, this release reads {VERSION}"
            )
        return _checked(fields)

    def _name_culprit(self, envelope: Envelope, error: SerializationError) -> SerializationError:
        arguments = {**{f"{i + 1}": v for i, v in enumerate(envelope.args)}, **envelope.kwargs}
        for name, value in arguments.items():
            try:
                self._serializer.dumps(value)
            except SerializationError as cause:
                return SerializationError(f"{envelope.task}: argument {name!r}: {cause}")
        return SerializationError(f"{envelope.task}: {error}")


def codec_of(serializer: BaseSerializer, signing_keys: Sequence[SecretStr]) -> EnvelopeCodec:
    """Return the codec of a configuration; the first key signs, every key verifies."""
    return EnvelopeCodec(serializer, Signer([key.get_secret_value() for key in signing_keys]))


def _checked(wire: dict[str, object]) -> Envelope:
    known: dict[str, Any] = {}
    try:
        for key, value in wire.items():
            field = _FIELDS.get(key)
            if field is not None:
                if not isinstance(value, field.types):
                    raise TypeError(f"unexpected {type(value).__name__}")
                known[field.name] = field.check(value) if field.positive else value
        return Envelope(**known)
    except TypeError as error:  # also raised when the task is missing
        raise SerializationError(f"the message is malformed: {error}") from error
