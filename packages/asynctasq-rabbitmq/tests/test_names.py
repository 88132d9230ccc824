"""The names in the broker, and the bits of a delay."""

import random

import pytest

from asynctasq.errors import BrokerRejected
from asynctasq_rabbitmq.ladder import LEVELS, milliseconds, routing_key, top_level
from asynctasq_rabbitmq.names import Names

ODD = [
    "a b",
    "a.b",
    "a@b",
    "a%b",
    "@2E",
    "%2E",
    "*",
    "#",
    "~",
    "/queue/x",
    "naïve-队列-🐍",
    "A",
    "a",
]


def test_names_are_told_apart_and_found_again() -> None:
    names = Names("app")
    assert len({names.queue(one) for one in ODD}) == len(ODD)
    for one in ODD:
        assert names.original(names.queue(one)) == one
        assert names.original(names.dead(one)) == one


@pytest.mark.parametrize("name", ["other/queue/a", "app/delay/07", "app/due", "app", "emails"])
def test_other_names_belong_to_no_queue(name: str) -> None:
    assert Names("app").original(name) is None


def test_a_name_that_does_not_fit_is_refused() -> None:
    for name in ("x" * 171, ""):
        with pytest.raises(BrokerRejected, match="1 to 170 are possible"):
            Names("app").queue(name)


def test_all_names_fit_into_a_short_string() -> None:
    names = Names("n" * 60)
    longest = "x" * 170
    assert len(names.queue(longest)) <= 255
    assert len(routing_key(1, names.word(longest))) <= 255


@pytest.mark.parametrize(
    ("seconds", "expected"), [(1e-9, 1), (0.001, 1), (0.4, 400), (4.095, 4095), (4.097, 4098)]
)
def test_short_delays_are_exact(seconds: float, expected: int) -> None:
    assert milliseconds(seconds) == expected


def test_long_delays_are_never_early_and_hardly_late() -> None:
    for _ in range(1000):
        seconds = random.uniform(0.001, 10 ** random.uniform(-2, 7.8))
        late = milliseconds(seconds) / 1000 - seconds
        assert -1e-6 <= late <= max(0.0011, seconds / 2000)


def test_the_words_of_a_routing_key_are_the_bits() -> None:
    words = routing_key(0b1010, "emails").split(".")
    assert len(words) == LEVELS + 1
    assert words[-5:] == ["1", "0", "1", "0", "emails"]
    assert set(words[:-5]) == {"0"}
    assert top_level(0b1010) == 3
