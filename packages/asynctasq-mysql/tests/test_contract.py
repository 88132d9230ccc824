"""The driver seam's contract on a server."""

import pytest
from pydantic import SecretStr

from asynctasq.testing.contract import (
    ControlContract,
    DiagnosticsContract,
    DriverContract,
    InspectorContract,
    NewDriver,
    UnreachableContract,
    WorkersContract,
)
from asynctasq_mysql import MySQLDriver, MySQLSettings


class TestMySQL(
    DriverContract, InspectorContract, ControlContract, WorkersContract, DiagnosticsContract
):
    """All of it on one server."""

    @pytest.fixture
    def new_driver(self, settings: MySQLSettings) -> NewDriver:
        return lambda: MySQLDriver(settings)


class TestUnreachable(UnreachableContract):
    """Nobody listens."""

    @pytest.fixture
    def new_driver(self) -> NewDriver:
        settings = MySQLSettings(mysql_dsn=SecretStr("mysql://127.0.0.1:1/test"))
        return lambda: MySQLDriver(settings)
