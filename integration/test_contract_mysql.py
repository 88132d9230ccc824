"""The contract on the MySQL and the MariaDB that are there."""

from collections.abc import Iterator

import pytest

from asynctasq import Config, DriverFactory
from asynctasq.testing.contract import (
    ControlContract,
    DiagnosticsContract,
    DriverContract,
    InspectorContract,
    NewDriver,
    UnreachableContract,
    WorkersContract,
)
from asynctasq.testing.ports import free_port
from integration.tables import with_tables


@pytest.fixture(scope="module")
def mysql_config(mysql_url: str) -> Iterator[Config]:
    with with_tables("mysql", mysql_url) as settings:
        yield Config(**settings)


@pytest.fixture(scope="module")
def mariadb_config(mariadb_url: str) -> Iterator[Config]:
    with with_tables("mysql", mariadb_url) as settings:
        yield Config(**settings)


class TestMySQL(
    DriverContract, InspectorContract, ControlContract, WorkersContract, DiagnosticsContract
):
    @pytest.fixture
    def new_driver(self, mysql_config: Config) -> NewDriver:
        return lambda: DriverFactory.create_from_config(mysql_config)


class TestMariaDB(
    DriverContract, InspectorContract, ControlContract, WorkersContract, DiagnosticsContract
):
    @pytest.fixture
    def new_driver(self, mariadb_config: Config) -> NewDriver:
        return lambda: DriverFactory.create_from_config(mariadb_config)


class TestNoMySQL(UnreachableContract):
    @pytest.fixture
    def new_driver(self) -> NewDriver:
        config = Config(driver="mysql", mysql_dsn=f"mysql://u@127.0.0.1:{free_port()}/db")
        return lambda: DriverFactory.create_from_config(config)
