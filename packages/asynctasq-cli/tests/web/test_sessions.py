"""Sessions, and the limit on wrong tokens."""

import pytest

from asynctasq.errors import ConfigError
from asynctasq_cli.web.sessions import ADDRESSES, LIFETIME, PERIOD, TRIES, Sessions, Throttle

TOKEN = "a token of more than sixteen"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_is_valid_until_it_expires() -> None:
    clock = Clock()
    sessions = Sessions(TOKEN, clock)
    cookie = sessions.issue()
    assert sessions.valid(cookie)
    clock.now += LIFETIME - 1
    assert sessions.valid(cookie)
    clock.now += 1
    assert not sessions.valid(cookie)


def test_a_session_survives_a_restart_but_not_a_new_token() -> None:
    cookie = Sessions(TOKEN).issue()
    assert Sessions(TOKEN).valid(cookie)
    assert not Sessions(TOKEN + "!").valid(cookie)


@pytest.mark.parametrize("cookie", [None, "", ".", "..", "é", "1.2", "99999999999.x.y"])
def test_an_unsigned_cookie_is_invalid(cookie: str | None) -> None:
    assert not Sessions(TOKEN).valid(cookie)


def test_a_session_cannot_be_extended() -> None:
    ends, nonce, signature = Sessions(TOKEN).issue().split(".")
    assert not Sessions(TOKEN).valid(f"{int(ends) + 1}.{nonce}.{signature}")


def test_without_a_token_no_session_is_required() -> None:
    sessions = Sessions(None)
    assert sessions.valid(None)
    assert not sessions.matches("")
    assert not sessions.required


def test_only_the_token_matches() -> None:
    sessions = Sessions(TOKEN)
    assert sessions.matches(TOKEN)
    assert not sessions.matches(TOKEN[:-1])
    assert not sessions.matches("\ud800")


def test_a_short_token_is_refused() -> None:
    with pytest.raises(ConfigError, match="16 characters or more") as caught:
        Sessions("hunter2")
    assert "hunter2" not in str(caught.value)


def test_too_many_wrong_tokens_have_to_wait() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for _ in range(TRIES):
        assert throttle.wait("a") == 0
        throttle.failed("a")
    assert throttle.wait("a") == PERIOD
    assert throttle.wait("b") == 0
    clock.now += PERIOD
    assert throttle.wait("a") == 0


def test_a_limited_number_of_addresses_is_tracked() -> None:
    throttle = Throttle(Clock())
    for _ in range(TRIES):
        throttle.failed("first")
    for number in range(ADDRESSES):
        throttle.failed(str(number))
    assert throttle.wait("first") == 0
