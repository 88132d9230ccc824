"""The SQS names of queues."""

import re

import pytest

from asynctasq_sqs.names import queue_name, sqs_name

NAMES = [
    "emails",
    "a_b-C9",
    "with space",
    "with.dot",
    "dot/slash:colon",
    "naïve-队列-🐍",
    "_0x2e_",
    "_0x2e.",
    ".0x2e_",
    "a_0xzz",
    "_",
    "_0x",
    "a.b",
    "a_0x2e_b",
    "x.fifo",
    "with space.fifo",
    ".fifo",
    "fifo",
    "Case",
    "case",
    "l" * 80,
    "l" * 81,
    "l" * 82,
    "l" * 79 + ".",
    "l" * 100 + ".fifo",
]


@pytest.mark.parametrize("name", ["emails", "high-priority_2", "x" * 80, "orders.fifo"])
def test_a_valid_sqs_name_is_kept(name: str) -> None:
    assert sqs_name(name) == name


@pytest.mark.parametrize("prefix", ["", "shop-"])
@pytest.mark.parametrize("suffix", ["", "-dead"])
def test_no_two_queues_have_one_name(prefix: str, suffix: str) -> None:
    made = {sqs_name(name, prefix=prefix, suffix=suffix) for name in NAMES}
    assert len(made) == len(NAMES)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{0,80}(\.fifo)?", name) for name in made)
    assert max(map(len, made)) <= 80


@pytest.mark.parametrize("prefix", ["", "shop-"])
@pytest.mark.parametrize("name", [name for name in NAMES if len(name) < 70])
def test_the_name_is_read_back(name: str, prefix: str) -> None:
    assert queue_name(sqs_name(name, prefix=prefix), prefix=prefix) == name


@pytest.mark.parametrize("name", ["l" * 100, "with space " * 20, "l" * 100 + ".fifo"])
def test_a_long_name_as_it_is_listed_means_the_same_queue(name: str) -> None:
    listed = queue_name(sqs_name(name))
    assert sqs_name(listed) == sqs_name(name)


def test_a_fifo_queue_has_a_fifo_dead_letter_queue() -> None:
    assert sqs_name("orders.fifo", suffix="-dead") == "orders-dead.fifo"
