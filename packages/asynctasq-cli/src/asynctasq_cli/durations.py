"""Parses durations such as ``30s``, ``10m``, ``2h`` and ``1d``."""

# pyright: reportMissingTypeArgument=false
# click's types take an argument since 8.5, and must not be given one before

import math
import re
from typing import Any

import rich_click as click

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_FORM = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)")


def parse_duration(text: str) -> float:
    """Seconds in a duration such as ``90``, ``30s``, ``10m``, ``1.5h`` or ``1d``.

    Raises `ValueError` for anything else.
    """
    match = _FORM.fullmatch(text.strip().lower())
    seconds = float(match[1]) * _UNITS[match[2]] if match else math.inf
    if not math.isfinite(seconds):
        raise ValueError(f"{text!r} is not a duration; write 30s, 10m, 2h or 1d")
    return seconds


class DurationType(click.ParamType):
    """An option's value in seconds."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Seconds; anything else is a usage error."""
        if isinstance(value, (int, float)):
            return float(value)
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


#: For ``click.option(type=…)``.
DURATION = DurationType()
