"""The picture of the terminal can be regenerated, and shows the output of its commands."""

import html
import re

import pytest

from integration.documentation.record import COMMANDS, PICTURE, record


def _words(svg: str) -> str:
    shown = html.unescape(" ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg)))
    return shown.replace("\xa0", " ")


@pytest.mark.slow
def test_a_new_picture_shows_all_commands() -> None:
    shown = _words(record())
    for command in COMMANDS:
        assert command in shown
    assert "mail server is down" in shown
    assert "shop:send_email" in shown


def test_the_picture_is_of_these_commands() -> None:
    shown = _words(PICTURE.read_text())
    assert [command for command in COMMANDS if command not in shown] == []


def test_the_picture_needs_nothing_from_elsewhere() -> None:
    assert re.findall(r"url\([^#]|href=", PICTURE.read_text()) == []
