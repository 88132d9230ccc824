"""Fixtures of all tests of this distribution."""

import random

import pytest


@pytest.fixture
def longest_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the longest of all delays: what is tried again is still delayed when looked at."""
    monkeypatch.setattr(random, "uniform", lambda _least, most: most)
