"""The contract on the PostgreSQL that is there."""

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
def postgres_config(postgres_url: str) -> Iterator[Config]:
    with with_tables("postgres", postgres_url) as settings:
        yield Config(**settings)


class TestPostgreSQL(
    DriverContract, InspectorContract, ControlContract, WorkersContract, DiagnosticsContract
):
    @pytest.fixture
    def new_driver(self, postgres_config: Config) -> NewDriver:
        return lambda: DriverFactory.create_from_config(postgres_config)


class TestNoPostgreSQL(UnreachableContract):
    @pytest.fixture
    def new_driver(self) -> NewDriver:
        config = Config(
            driver="postgres", postgres_dsn=f"postgresql://u@127.0.0.1:{free_port()}/db"
        )
        return lambda: DriverFactory.create_from_config(config)
