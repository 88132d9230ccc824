"""Drivers of core whose stores go by a clock of the test's."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest

from asynctasq.drivers.memory import MemoryDriver, MemorySettings
from asynctasq.drivers.memory_store import MemoryStore
from asynctasq.drivers.sqlite import SQLiteDriver, SQLiteSettings, database

START = 1_800_000_000


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def set(self, seconds: float) -> None:
        self.now = seconds

    def seconds(self) -> float:
        return START + self.now

    def nanoseconds(self) -> int:
        return int(self.seconds() * 1e9)


def in_memory(kind: type[MemoryDriver], clock: Clock) -> Callable[[], MemoryDriver]:
    """A function that makes drivers on one store in memory."""
    settings = MemorySettings(memory_url=f"memory://{uuid4().hex}")
    store = MemoryStore(clock.seconds)

    def new() -> MemoryDriver:
        driver = kind(settings)
        driver._store = store
        return driver

    return new


def in_a_file(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], SQLiteDriver]:
    """A function that makes drivers on one file."""
    monkeypatch.setattr(database, "time", SimpleNamespace(time_ns=clock.nanoseconds))
    settings = SQLiteSettings(sqlite_path=str(path), sqlite_synchronous="normal")
    return lambda: SQLiteDriver(settings)
