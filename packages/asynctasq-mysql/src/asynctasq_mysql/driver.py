"""The MySQL driver: implements the seam with SQL statements."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import ClassVar, cast

from asynctasq.drivers import (
    Delivery,
    DriverSettings,
    Limits,
    Message,
    Outcome,
    Settlement,
)
from asynctasq.drivers.session_driver import SessionDriver
from asynctasq_mysql import leases, transaction
from asynctasq_mysql.claim import Request
from asynctasq_mysql.control import MySQLControl
from asynctasq_mysql.dequeue import Fetch
from asynctasq_mysql.diagnostics import MySQLDiagnostics
from asynctasq_mysql.enqueue import LONGEST_DELAY, check, max_body, store
from asynctasq_mysql.inspector import MySQLInspector
from asynctasq_mysql.literals import CHUNK, chunks
from asynctasq_mysql.migrator import MySQLMigrator
from asynctasq_mysql.session import Session
from asynctasq_mysql.settings import MySQLSettings
from asynctasq_mysql.settle import portions
from asynctasq_mysql.settle import settle as apply_outcomes
from asynctasq_mysql.workers import MySQLWorkers

#: The default max_allowed_packet of MariaDB, in bytes; MySQL's is larger.
USUAL_PACKET = 16 * 1024 * 1024


class MySQLDriver(
    SessionDriver[Session],
    MySQLInspector,
    MySQLControl,
    MySQLWorkers,
    MySQLMigrator,
    MySQLDiagnostics,
):
    """Messages in tables of MySQL or MariaDB."""

    settings_type: ClassVar[type[DriverSettings]] = MySQLSettings
    limits = Limits(max_body=max_body(USUAL_PACKET), max_delay=LONGEST_DELAY)

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings or MySQLSettings())

    @property
    def mysql(self) -> MySQLSettings:
        """The driver's settings."""
        return cast(MySQLSettings, self.settings)

    def make_session(self) -> Session:
        """See `SessionDriver`."""
        return Session(self.mysql)

    async def connect(self) -> None:
        """Connect, and read the server's packet size; see `BaseDriver.connect`."""
        await super().connect()
        self.limits = replace(self.limits, max_body=self.session.max_body)

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store messages, all or none; see `BaseDriver.enqueue`."""
        check(messages, self.limits.max_body)
        if messages:
            session = self.session
            await session.run(lambda link: store(link, session.tables, messages))
            self._wake({message.queue for message in messages})

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Claim messages; see `BaseDriver.dequeue`."""
        unique = tuple(dict.fromkeys(queues))
        if not unique or limit < 1:
            return []
        request = Request(unique, min(limit, self.limits.dequeue_batch), lease)
        return await Fetch(self.session, request).run(wait)

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes; see `BaseDriver.settle`."""
        lost: list[Delivery] = []
        session = self.session
        for part in portions(settlements, CHUNK):
            lost += await session.run(
                lambda link, part=part: apply_outcomes(link, session.tables, part)
            )
        again = (Outcome.RETRY, Outcome.RELEASE)
        self._wake({item.delivery.queue for item in settlements if item.outcome in again})
        return lost

    async def extend(self, deliveries: Sequence[Delivery], *, lease: float) -> Sequence[Delivery]:
        """Extend leases; see `BaseDriver.extend`."""
        lost: list[Delivery] = []
        session = self.session
        for part in chunks(deliveries):
            lost += await session.run(
                lambda link, part=part: leases.extend(link, session.tables, part, lease)
            )
        return lost

    async def enqueue_on(self, connection: object, messages: Sequence[Message]) -> None:
        """Store messages in the caller's transaction; see `TransactionalEnqueue`."""
        check(messages, self.limits.max_body)
        tables, location = self.mysql.tables(), self.mysql.location()
        await transaction.enqueue_on(connection, tables, messages, location)

    def enqueue_on_sync(self, connection: object, messages: Sequence[Message]) -> None:
        """Store messages in the caller's transaction; see `TransactionalEnqueue`."""
        check(messages, self.limits.max_body)
        tables, location = self.mysql.tables(), self.mysql.location()
        transaction.enqueue_on_sync(connection, tables, messages, location)

    def _wake(self, queues: Collection[str]) -> None:
        if queues:
            self.session.waiters.wake(queues)
