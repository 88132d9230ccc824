"""The whole contract on the SQLite driver."""

from pathlib import Path

import pytest

from asynctasq.drivers.sqlite import SQLiteDriver, SQLiteSettings
from asynctasq.testing.contract import (
    ControlContract,
    DiagnosticsContract,
    DriverContract,
    InspectorContract,
    NewDriver,
    WorkersContract,
)


class TestSQLiteDriver(
    DriverContract, InspectorContract, ControlContract, WorkersContract, DiagnosticsContract
):
    @pytest.fixture
    def new_driver(self, tmp_path: Path) -> NewDriver:
        settings = SQLiteSettings(sqlite_path=str(tmp_path / "queue.db"))
        return lambda: SQLiteDriver(settings)
