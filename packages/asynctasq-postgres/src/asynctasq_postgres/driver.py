"""The PostgreSQL driver: the seam's methods as calls of functions in the database."""

from collections.abc import Sequence
from typing import ClassVar, cast

from asynctasq.drivers import Delivery, DriverSettings, Limits, Message, Settlement
from asynctasq.drivers.session_driver import SessionDriver
from asynctasq_postgres.control import PostgresControl
from asynctasq_postgres.dequeue import Fetch, Request
from asynctasq_postgres.diagnostics import PostgresDiagnostics
from asynctasq_postgres.enqueue import store
from asynctasq_postgres.inspector import PostgresInspector
from asynctasq_postgres.leases import extend
from asynctasq_postgres.messages import MAX_BODY, MAX_DELAY, check_message, check_seconds
from asynctasq_postgres.schema import Migrations
from asynctasq_postgres.session import Session
from asynctasq_postgres.settings import PostgresSettings
from asynctasq_postgres.settle import settle
from asynctasq_postgres.transaction import Transactions
from asynctasq_postgres.workers import PostgresWorkers


class PostgresDriver(
    SessionDriver[Session],
    Migrations,
    Transactions,
    PostgresInspector,
    PostgresControl,
    PostgresWorkers,
    PostgresDiagnostics,
):
    """Keeps messages in tables of PostgreSQL."""

    settings_type: ClassVar[type[DriverSettings]] = PostgresSettings
    limits = Limits(
        dequeue_batch=1000, max_body=MAX_BODY, max_delay=MAX_DELAY, lease_step=0.001, full_fetch=1
    )

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings or PostgresSettings())

    def make_session(self) -> Session:
        """See `SessionDriver`."""
        return Session(cast(PostgresSettings, self.settings))

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store messages; see `BaseDriver.enqueue`."""
        for message in messages:
            check_message(message)
        if messages:
            await store(self.session, messages)

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take messages; see `BaseDriver.dequeue`."""
        unique = list(dict.fromkeys(queues))
        if not unique or limit < 1:
            return []
        limit = min(limit, self.limits.dequeue_batch)
        return await Fetch(self.session, Request(unique, limit, check_seconds(lease))).run(wait)

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes; see `BaseDriver.settle`."""
        if not settlements:
            return []
        return await settle(self.session, settlements)

    async def extend(self, deliveries: Sequence[Delivery], *, lease: float) -> Sequence[Delivery]:
        """Extend leases; see `BaseDriver.extend`."""
        if not deliveries:
            return []
        return await extend(self.session, deliveries, lease)
