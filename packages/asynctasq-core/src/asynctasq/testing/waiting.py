"""Waiting in tests: for a condition, with a generous limit."""

import time
from collections.abc import Callable

import pytest

#: Seconds. A passing test waits only until its condition holds, so the limit may be generous.
PATIENCE = 150.0


def until(
    condition: Callable[[], object],
    what: str | Callable[[], str] = "the condition holds",
    patience: float = PATIENCE,
) -> None:
    """Wait until `condition` is true; fail the test after `patience` seconds.

    Looking takes at most a fifth of the time, since the looker shares the processor with what it
    waits for.

    Args:
        what: completes "waited … s until", or a function that makes this text at the end.
    """
    deadline = time.monotonic() + patience
    while True:
        began = time.monotonic()
        if condition():
            return
        if (now := time.monotonic()) > deadline:
            text = what if isinstance(what, str) else what()
            pytest.fail(f"waited {patience:g} s until {text}")
        time.sleep(min(1.0, max(0.02, 4 * (now - began))))
