"""Encoding messages as frames, and decoding them again."""

import pytest

from asynctasq_rabbitmq.channel import Channel
from asynctasq_rabbitmq.content import ATTEMPTS, Content, encode_content, encode_publish

#: A frame's header, its payload's start and its end byte.
BEFORE, AFTER = 7, 1


def read(data: bytes) -> list[tuple[str, str, Content]]:
    """Decode frames that return messages, by a channel."""
    returned: list[tuple[str, str, Content]] = []
    channel = Channel(None, 1)
    channel.on_return = lambda *what: returned.append(what)
    position = 0
    while position < len(data):
        size = int.from_bytes(data[position + 3 : position + 7], "big")
        start = position + BEFORE
        channel.receive(data[position], data, start, start + size)
        position = start + size + AFTER
    return returned


def returned(exchange: str, key: str) -> bytes:
    """The frame of a basic.return."""
    names = b"".join(bytes([len(one)]) + one.encode() for one in ("NO_ROUTE", exchange, key))
    payload = b"\x00\x3c\x00\x32\x01\x38" + names
    return b"\x01\x00\x01" + len(payload).to_bytes(4, "big") + payload + b"\xce"


@pytest.mark.parametrize("name", ["id", "naïve-队列-🐍", "x" * 255, "x" * 1000])
@pytest.mark.parametrize("size", [0, 1, 92, 93, 1000])
@pytest.mark.parametrize("headers", [{}, {ATTEMPTS: 3, "asynctasq-note": "why\n" * 50}])
def test_a_message_is_read_as_it_was_written(name: str, size: int, headers) -> None:
    body = bytes(number % 256 for number in range(size))
    frames = encode_content(1, name, body, headers, 100)
    ((exchange, key, content),) = read(returned("exchange", "key") + frames)
    assert (exchange, key) == ("exchange", "key")
    assert (content.id, content.body) == (name, body)
    assert content.attempts == headers.get(ATTEMPTS, 0)


def test_messages_follow_each_other() -> None:
    one = returned("", "a") + encode_content(1, "1", b"", {}, 100)
    two = returned("", "b") + encode_content(1, "2", b"x" * 300, {}, 100)
    assert [(key, content.id) for _, key, content in read(one + two + one)] == [
        ("a", "1"),
        ("b", "2"),
        ("a", "1"),
    ]


def test_a_message_is_published_as_mandatory() -> None:
    assert encode_publish(1, "", "key").endswith(b"\x03key\x01\xce")
