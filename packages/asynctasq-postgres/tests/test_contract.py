"""The driver seam's contract on a server, with notifications and without."""

import socket
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from asynctasq.testing.contract import (
    ControlContract,
    DiagnosticsContract,
    DriverContract,
    InspectorContract,
    NewDriver,
    UnreachableContract,
    WaitContract,
    WorkersContract,
)
from asynctasq_postgres import PostgresDriver, PostgresSettings


class TestPostgreSQL(
    DriverContract, InspectorContract, ControlContract, WorkersContract, DiagnosticsContract
):
    """All of it, as the driver is used by default."""

    @pytest.fixture
    def new_driver(self, settings: PostgresSettings) -> NewDriver:
        return lambda: PostgresDriver(settings)


class TestWithoutNotifications(WaitContract):
    """As behind a pooler that exchanges connections."""

    @pytest.fixture
    def new_driver(self, driver_with) -> NewDriver:
        return lambda: driver_with(postgres_notify=False, postgres_statement_cache_size=0)


class TestNoServer(UnreachableContract):
    """Nobody listens."""

    @pytest.fixture
    def new_driver(self) -> Iterator[NewDriver]:
        with socket.socket() as taken:  # bound, and not listening
            taken.bind(("127.0.0.1", 0))
            dsn = SecretStr(f"postgresql://user:secret@127.0.0.1:{taken.getsockname()[1]}/test")
            yield lambda: PostgresDriver(PostgresSettings(postgres_dsn=dsn))


class TestSilentServer(UnreachableContract):
    """Somebody listens, and says nothing."""

    @pytest.fixture
    def new_driver(self) -> Iterator[NewDriver]:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            dsn = SecretStr(f"postgresql://user:secret@127.0.0.1:{silent.getsockname()[1]}/test")
            yield lambda: PostgresDriver(PostgresSettings(postgres_dsn=dsn))
