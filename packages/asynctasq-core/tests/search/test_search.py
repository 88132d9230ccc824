"""No sequence of calls on the drivers of core breaks a promise."""

from pathlib import Path

import pytest
from stores import Clock, in_a_file, in_memory

from asynctasq.drivers.memory import MemoryDriver
from asynctasq.testing.search import SearchContract, SteppedTimes


class SteppedSearch(SearchContract):
    @pytest.fixture
    def times(self, clock: Clock) -> SteppedTimes:
        return SteppedTimes(clock.set)


class TestMemory(SteppedSearch):
    examples = 80

    @pytest.fixture
    def new_driver(self, clock: Clock):
        return in_memory(MemoryDriver, clock)


class TestSQLite(SteppedSearch):
    @pytest.fixture
    def new_driver(self, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch):
        return in_a_file(tmp_path / "queue.db", clock, monkeypatch)
