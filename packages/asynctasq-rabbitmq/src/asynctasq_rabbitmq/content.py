"""Encodes and decodes messages as AMQP 0-9-1 frames, without intermediate objects.

A message costs the client more time than the broker. So its three frames are packed at once, and
of a received message only the properties that the driver writes are decoded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from struct import Struct
from typing import cast

from pamqp import decode, encode
from pamqp.common import FieldTable, FieldValue

FRAME_END = b"\xce"
METHOD, HEADER, BODY = 1, 2, 3
#: Bytes of a frame around its payload.
OVERHEAD = 8

_FRAME = Struct(">BHI")
_CONTENT = Struct(">HHQH")
_ACK = Struct(">BHIHHQBB")
_HAS_CONTENT_TYPE, _HAS_ENCODING, _HAS_HEADERS, _HAS_MODE = 0x8000, 0x4000, 0x2000, 0x1000
_HAS_PRIORITY, _HAS_CORRELATION, _HAS_REPLY_TO = 0x0800, 0x0400, 0x0200
_HAS_EXPIRATION, _HAS_ID = 0x0100, 0x0080
_PERSISTENT = b"\x02"

#: Attempts counted before the message was published.
ATTEMPTS = "asynctasq-attempts"
#: The message id, where it is too long for the property.
LONG_ID = "asynctasq-id"
#: Longest id in characters: the headers of a message must fit in one frame.
LONGEST_ID = 4096
#: True if the previous attempt ended without an outcome and the broker does not count it.
ABANDONED = "asynctasq-abandoned"
#: On a dead message: its error, and the time of death in microseconds since 1970.
NOTE = "asynctasq-note"
DIED = "asynctasq-died"
#: Counted by the broker: how often the message was requeued without an outcome.
REDELIVERED = "x-delivery-count"
#: Upper limit for numbers read from headers; sums of them still fit in a header.
LARGEST = 2**53


@dataclass(slots=True)
class Content:
    """A message received from the broker."""

    id: str
    body: bytes
    headers: Mapping[str, FieldValue] = field(default_factory=dict[str, FieldValue])

    def number(self, header: str) -> int:
        """Return the integer in `header`, limited to 0 … `LARGEST`; 0 if there is none."""
        value = self.headers.get(header)
        return min(max(value, 0), LARGEST) if isinstance(value, int) else 0

    @property
    def attempts(self) -> int:
        """Attempts before this delivery, counted by the driver and by the broker."""
        return self.number(ATTEMPTS) + self.number(REDELIVERED)

    @property
    def abandoned(self) -> bool:
        """Whether the previous attempt ended without an outcome."""
        return self.headers.get(ABANDONED) is True or self.number(REDELIVERED) > 0


def encode_content(
    channel: int, message_id: str, body: bytes, headers: Mapping[str, FieldValue], frame_max: int
) -> bytes:
    """Return the header and body frames of a persistent message."""
    name = message_id.encode()
    flags = _HAS_MODE
    if len(name) > 255:
        headers = {**headers, LONG_ID: message_id}
        name = b""
    properties = _PERSISTENT
    if headers:
        flags |= _HAS_HEADERS
        properties = encode.field_table(cast(FieldTable, headers)) + properties
    if name:
        flags |= _HAS_ID
        properties += bytes((len(name),)) + name
    size = len(body)
    parts = [
        _FRAME.pack(HEADER, channel, 14 + len(properties)),
        _CONTENT.pack(60, 0, size, flags),
        properties,
        FRAME_END,
    ]
    step = frame_max - OVERHEAD
    for start in range(0, size, step):
        part = body if size <= step else body[start : start + step]
        parts += (_FRAME.pack(BODY, channel, len(part)), part, FRAME_END)
    return b"".join(parts)


@lru_cache(maxsize=1024)
def encode_publish(channel: int, exchange: str, key: str) -> bytes:
    """Return the method frame of a mandatory basic.publish."""
    names = encode.short_string(exchange) + encode.short_string(key)
    payload = b"\x00\x3c\x00\x28\x00\x00" + names + b"\x01"
    return _FRAME.pack(METHOD, channel, len(payload)) + payload + FRAME_END


def encode_ack(channel: int, tag: int, *, multiple: bool) -> bytes:
    """Return the frame of a basic.ack."""
    return _ACK.pack(METHOD, channel, 13, 60, 80, tag, multiple, 0xCE)


def body_size(data: bytes, start: int) -> int:
    """Return the body length in the header frame whose payload begins at `start`."""
    return int.from_bytes(data[start + 4 : start + 12], "big")


def decode_properties(payload: bytes) -> tuple[str, Mapping[str, FieldValue]]:
    """Return the id and the headers in the payload of a header frame."""
    flags = int.from_bytes(payload[12:14], "big")
    position = 14
    headers: Mapping[str, FieldValue] = {}
    for flag in (_HAS_CONTENT_TYPE, _HAS_ENCODING):
        if flags & flag:
            position += 1 + payload[position]
    if flags & _HAS_HEADERS:
        headers = _table(payload[position:])
        position += 4 + int.from_bytes(payload[position : position + 4], "big")
    for flag in (_HAS_MODE, _HAS_PRIORITY):
        if flags & flag:
            position += 1
    for flag in (_HAS_CORRELATION, _HAS_REPLY_TO, _HAS_EXPIRATION):
        if flags & flag:
            position += 1 + payload[position]
    if flags & _HAS_ID:
        end = position + 1 + payload[position]
        return payload[position + 1 : end].decode(errors="replace"), headers
    return str(headers.get(LONG_ID, ""))[:LONGEST_ID], headers


def _table(data: bytes) -> Mapping[str, FieldValue]:
    """Return the headers at the start of `data`; none if another publisher's cannot be decoded."""
    try:
        return decode.field_table(data)[1]
    except (ValueError, ArithmeticError, OSError, RecursionError):
        return {}  # such as a date beyond the calendar, a number too large, or deep nesting
