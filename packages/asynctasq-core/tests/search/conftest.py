"""A clock for the stores, and the times of a search by it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stores import Clock

from asynctasq.testing.search import SteppedTimes


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def times(clock: Clock) -> SteppedTimes:
    return SteppedTimes(clock.set)
