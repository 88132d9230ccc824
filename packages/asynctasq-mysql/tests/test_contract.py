"""The driver seam's contract on a server."""

from collections.abc import Callable

import pytest
from pydantic import SecretStr

from asynctasq.drivers import BaseDriver
from asynctasq.testing.contract import (
    ControlContract,
    DiagnosticsContract,
    DriverContract,
    InspectorContract,
    NewDriver,
    UnreachableContract,
    WorkersContract,
)
from asynctasq.testing.contract.base import fresh, message
from asynctasq_mysql import MySQLDriver, MySQLSettings


class TestMySQL(
    DriverContract, InspectorContract, ControlContract, WorkersContract, DiagnosticsContract
):
    """Run the whole contract on one server."""

    @pytest.fixture
    def new_driver(self, settings: MySQLSettings) -> NewDriver:
        return lambda: MySQLDriver(settings)

    @pytest.fixture
    async def refused_queue(self, driver: BaseDriver, refuse: Callable[..., None]) -> str:
        """A queue with a message whose claim fails by a trigger."""
        name = fresh("refused")
        await driver.enqueue([message(name)])
        refuse(name)
        return name


class TestUnreachable(UnreachableContract):
    """Settings for a port where no server listens."""

    @pytest.fixture
    def new_driver(self) -> NewDriver:
        settings = MySQLSettings(mysql_dsn=SecretStr("mysql://127.0.0.1:1/test"))
        return lambda: MySQLDriver(settings)
