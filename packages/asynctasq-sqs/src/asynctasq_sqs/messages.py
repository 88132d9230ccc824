"""Encodes and decodes SQS messages: a readable JSON header, and the body as an attribute.

The text of an SQS message is the header: id, attempts counted before, and all other fields but the
body. The body is a binary attribute, which SQS stores without an encoding that makes it longer. A
foreign message has no such header: its text is the body.

SQS delays a message for 15 minutes at most. A message with a longer delay carries the delay,
counted from when it was sent; a driver that receives it early sends it again with the remainder.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any, cast

from asynctasq.errors import BrokerRejected, BrokerUnavailable
from asynctasq_sqs.client import TEN, Entry

#: Longest delay of SQS, in seconds.
HOP = 900
#: Limit in bytes of a message, and of a batch: texts, and names, types and values of attributes.
LARGEST = 1024 * 1024
#: Bytes of `LARGEST` reserved for the header.
HEADER = 1024
#: The system attributes that a receive requests.
SYSTEM = ["ApproximateReceiveCount", "SentTimestamp", "ApproximateFirstReceiveTimestamp"]
#: The attribute that holds the body.
BODY = "body"

_BINARY = "Binary"
_MARK = '{"asynctasq":'


@dataclass(frozen=True, slots=True)
class Content:
    """The content of one SQS message.

    Attributes:
        attempts: attempts counted before it was sent.
        delay: seconds from sending until it is due.
        note: the error of a dead message.
        unique: distinguishes it from earlier messages of the same id, on a FIFO queue.
        abandoned: the last counted attempt ended without an outcome.
    """

    id: str
    body: bytes
    attempts: int = 0
    delay: float = 0.0
    note: str = ""
    unique: str = ""
    abandoned: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """A received message.

    Attributes:
        key: the message id assigned by SQS.
        handle: the receipt handle.
        count: deliveries by SQS, this one included.
        order: sort key by the time of sending.
        age: seconds since it was sent, by the clock of SQS.
        early: seconds until it is due; 0 or less when it is.
    """

    content: Content
    key: str
    handle: str
    count: int
    order: tuple[float, int]
    age: float
    early: float

    @property
    def attempt(self) -> int:
        """The number of this attempt."""
        return self.content.attempts + self.count

    @property
    def abandoned(self) -> bool:
        """Whether the attempt before ended without an outcome; a retry is a new SQS message."""
        return self.content.abandoned or self.count > 1


def entry_of(content: Content, *, group: str | None, position: int = 0) -> Entry:
    """Return the batch entry of a content, without its id; `group` is set on FIFO queues."""
    entry: dict[str, Any] = {"MessageBody": _header(content, position)}
    if content.body:
        entry["MessageAttributes"] = {BODY: {"DataType": _BINARY, "BinaryValue": content.body}}
    if group is None:
        entry["DelaySeconds"] = min(HOP, math.ceil(content.delay))
    else:
        entry["MessageGroupId"] = group or _token(content.id)
        entry["MessageDeduplicationId"] = _token(f"{content.unique}/{content.id}")
    return entry


def batches(
    contents: Iterable[Content], *, group: str | None
) -> Iterator[tuple[list[Content], list[Entry]]]:
    """Yield contents in portions of one batch each, with their entries."""
    chunk: list[Content] = []
    entries: list[Entry] = []
    total = 0
    for content in contents:
        size = size_of(content)
        if chunk and (len(chunk) == TEN or total + size > LARGEST):
            yield chunk, entries
            chunk, entries, total = [], [], 0
        entries.append(entry_of(content, group=group, position=len(chunk)))
        chunk.append(content)
        total += size
    if chunk:
        yield chunk, entries


def size_of(content: Content) -> int:
    """Return the size in bytes that SQS counts."""
    attribute = len(BODY) + len(_BINARY) + len(content.body) if content.body else 0
    return len(_header(content, TEN - 1)) + attribute


def check_size(content: Content) -> None:
    """Raise `BrokerRejected` for a content above the size limit of SQS."""
    size = size_of(content)
    if size > LARGEST:
        raise BrokerRejected(
            f"message {content.id:.80} has {len(content.body)} bytes, {size} with its "
            f"header; SQS takes at most {LARGEST}: store large data elsewhere and send a reference"
        )


def fit_note(content: Content) -> Content:
    """Cut the note of a dead message to the space that the body leaves."""
    excess = size_of(content) - LARGEST
    while excess > 0 and content.note:
        kept = max(
            0, len(content.note) - max(1, excess // 6)
        )  # an escaped character takes six bytes
        content = replace(content, note=content.note[:kept])
        excess = size_of(content) - LARGEST
    return content


def read_all(reply: Mapping[str, Any]) -> list[Received]:
    """Decode a reply of ``receive_message``; raises `BrokerUnavailable` if it is malformed."""
    headers = reply.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    now = _seconds(headers.get("date"))
    try:
        return [_read(message, now) for message in reply.get("Messages", ())]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise BrokerUnavailable(f"SQS returned unreadable messages: {error!r}") from error


def _read(message: Mapping[str, Any], now: float) -> Received:
    system: Mapping[str, str] = message.get("Attributes", {})
    sent = int(system.get("SentTimestamp", 0)) / 1000
    # the time of the first receipt is exact, but may be long past; the reply's date has seconds
    first = int(system.get("ApproximateFirstReceiveTimestamp", 0)) / 1000
    age = max(first, now, sent) - sent
    content, position = _content(message)
    return Received(
        content=content,
        key=str(message["MessageId"]),
        handle=str(message["ReceiptHandle"]),
        count=int(system.get("ApproximateReceiveCount", 1)),
        order=(sent, position),
        age=age,
        early=content.delay - age,
    )


def _content(message: Mapping[str, Any]) -> tuple[Content, int]:
    text = str(message.get("Body", ""))
    if text.startswith(_MARK):
        try:
            header = cast("dict[str, Any]", json.loads(text))
            body = message.get("MessageAttributes", {}).get(BODY, {}).get("BinaryValue", b"")
            content = Content(
                str(header["id"]),
                bytes(body),
                max(0, int(header.get("attempts", 0))),
                float(header.get("delay", 0)),
                str(header.get("note", "")),
                abandoned=bool(header.get("abandoned")),
            )
            if math.isfinite(content.delay):
                return content, int(header.get("n", 0))
        except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
            pass  # a foreign message that starts like ours
    return Content(str(message["MessageId"]), text.encode(errors="surrogatepass")), 0


def _header(content: Content, position: int) -> str:
    fields: dict[str, object] = {"asynctasq": 1, "id": content.id}
    if position:
        fields["n"] = position
    if content.attempts:
        fields["attempts"] = content.attempts
    if content.delay > HOP:
        fields["delay"] = round(content.delay, 3)
    if content.abandoned:
        fields["abandoned"] = 1
    if content.note:
        fields["note"] = content.note
    return json.dumps(fields, separators=(",", ":"))  # all ASCII: SQS refuses some characters


def _token(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()


def _seconds(date: object) -> float:
    try:
        return parsedate_to_datetime(str(date)).timestamp()
    except ValueError:  # a reply without a date
        return -math.inf
