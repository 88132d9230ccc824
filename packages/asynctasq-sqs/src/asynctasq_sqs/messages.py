"""Messages as SQS keeps them: a header that people can read, and the body in an attribute.

The text of an SQS message holds JSON with the id, the attempts counted before, and what else is
not the body; the body is a binary attribute, of which SQS counts the bytes as they are. A
message that somebody else has put into a queue has no such header: its text is the body.

SQS delays a message for 15 minutes at most. One that is due later carries how long it has to lie
from the moment it is sent; whoever receives it before sends it again with what is left.
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
#: Most bytes of one message and of one batch: texts, and names, types and values of attributes.
LARGEST = 1024 * 1024
#: Bytes of `LARGEST` that are kept for the header.
HEADER = 1024
#: What `SystemAttributes` a receive must ask for.
SYSTEM = ["ApproximateReceiveCount", "SentTimestamp", "ApproximateFirstReceiveTimestamp"]
#: The attribute that holds the body.
BODY = "body"

_BINARY = "Binary"
_MARK = '{"asynctasq":'


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent.

    Attributes:
        attempts: those counted before.
        delay: seconds from now until it is due.
        note: the error of a dead message.
        unique: what makes it another message than earlier ones of its id, on a FIFO queue.
        abandoned: the last attempt that counted ended without an outcome.
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
    """What came.

    Attributes:
        key: the id SQS gave it.
        handle: the receipt handle.
        count: how often SQS has delivered it, this time included.
        order: sorts by when it was sent.
        lay: seconds since it was sent, by the clock of SQS.
        early: seconds until it is due; not above 0 when it is.
    """

    letter: Letter
    key: str
    handle: str
    count: int
    order: tuple[float, int]
    lay: float
    early: float

    @property
    def attempt(self) -> int:
        """Which attempt this delivery is."""
        return self.letter.attempts + self.count

    @property
    def abandoned(self) -> bool:
        """Whether the attempt before ended without an outcome; a retry is another message."""
        return self.letter.abandoned or self.count > 1


def entry_of(letter: Letter, *, group: str | None, position: int = 0) -> Entry:
    """The entry of a batch, without its id; `group` is that of a FIFO queue."""
    entry: dict[str, Any] = {"MessageBody": _header(letter, position)}
    if letter.body:
        entry["MessageAttributes"] = {BODY: {"DataType": _BINARY, "BinaryValue": letter.body}}
    if group is None:
        entry["DelaySeconds"] = min(HOP, math.ceil(letter.delay))
    else:
        entry["MessageGroupId"] = group or _token(letter.id)
        entry["MessageDeduplicationId"] = _token(f"{letter.unique}/{letter.id}")
    return entry


def batches(
    letters: Iterable[Letter], *, group: str | None
) -> Iterator[tuple[list[Letter], list[Entry]]]:
    """The letters in portions that one batch can hold, with their entries."""
    chunk: list[Letter] = []
    entries: list[Entry] = []
    total = 0
    for letter in letters:
        size = size_of(letter)
        if chunk and (len(chunk) == TEN or total + size > LARGEST):
            yield chunk, entries
            chunk, entries, total = [], [], 0
        entries.append(entry_of(letter, group=group, position=len(chunk)))
        chunk.append(letter)
        total += size
    if chunk:
        yield chunk, entries


def size_of(letter: Letter) -> int:
    """The bytes that SQS counts."""
    attribute = len(BODY) + len(_BINARY) + len(letter.body) if letter.body else 0
    return len(_header(letter, TEN - 1)) + attribute


def check_size(letter: Letter) -> None:
    """Raise `BrokerRejected` for what SQS cannot hold."""
    size = size_of(letter)
    if size > LARGEST:
        raise BrokerRejected(
            f"message {letter.id:.80} has {len(letter.body)} bytes, {size} with what it takes to "
            f"send it; SQS takes at most {LARGEST}: store large data elsewhere and send where it is"
        )


def dead_letter(letter: Letter) -> Letter:
    """The letter with as much of its note as fits beside its body."""
    excess = size_of(letter) - LARGEST
    while excess > 0 and letter.note:
        kept = max(0, len(letter.note) - max(1, excess // 6))  # an escaped character has six
        letter = replace(letter, note=letter.note[:kept])
        excess = size_of(letter) - LARGEST
    return letter


def read_all(reply: Mapping[str, Any]) -> list[Received]:
    """The messages of a reply of ``receive_message``; `BrokerUnavailable` if it is none."""
    headers = reply.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    now = _seconds(headers.get("date"))
    try:
        return [_read(message, now) for message in reply.get("Messages", ())]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise BrokerUnavailable(f"SQS gives messages that cannot be read: {error!r}") from error


def _read(message: Mapping[str, Any], now: float) -> Received:
    system: Mapping[str, str] = message.get("Attributes", {})
    sent = int(system.get("SentTimestamp", 0)) / 1000
    # the first receipt is exact, but may have been long ago; the reply's date has whole seconds
    first = int(system.get("ApproximateFirstReceiveTimestamp", 0)) / 1000
    lay = max(first, now, sent) - sent
    letter, position = _letter(message)
    return Received(
        letter=letter,
        key=str(message["MessageId"]),
        handle=str(message["ReceiptHandle"]),
        count=int(system.get("ApproximateReceiveCount", 1)),
        order=(sent, position),
        lay=lay,
        early=letter.delay - lay,
    )


def _letter(message: Mapping[str, Any]) -> tuple[Letter, int]:
    text = str(message.get("Body", ""))
    if text.startswith(_MARK):
        try:
            header = cast("dict[str, Any]", json.loads(text))
            body = message.get("MessageAttributes", {}).get(BODY, {}).get("BinaryValue", b"")
            letter = Letter(
                str(header["id"]),
                bytes(body),
                max(0, int(header.get("attempts", 0))),
                float(header.get("delay", 0)),
                str(header.get("note", "")),
                abandoned=bool(header.get("abandoned")),
            )
            if math.isfinite(letter.delay):
                return letter, int(header.get("n", 0))
        except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
            pass  # it looks like ours, and is not
    return Letter(str(message["MessageId"]), text.encode(errors="surrogatepass")), 0


def _header(letter: Letter, position: int) -> str:
    fields: dict[str, object] = {"asynctasq": 1, "id": letter.id}
    if position:
        fields["n"] = position
    if letter.attempts:
        fields["attempts"] = letter.attempts
    if letter.delay > HOP:
        fields["delay"] = round(letter.delay, 3)
    if letter.abandoned:
        fields["abandoned"] = 1
    if letter.note:
        fields["note"] = letter.note
    return json.dumps(fields, separators=(",", ":"))  # all ASCII: SQS refuses some characters


def _token(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()


def _seconds(date: object) -> float:
    try:
        return parsedate_to_datetime(str(date)).timestamp()
    except ValueError:  # a reply without a date
        return -math.inf
