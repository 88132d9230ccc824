"""Parsing of durations such as ``10m``."""

import pytest

from asynctasq_cli.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90", 90), ("30s", 30), ("10m", 600), ("1.5h", 5400), (" 2D ", 172800)],
)
def test_a_duration_is_parsed(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "-1", "1w", "1h30m", "nan", "inf", "1e3", "٣s", "9" * 400]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write 30s"):
        parse_duration(text)
