"""The PostgreSQL driver: the seam's methods as calls of functions in the database."""

from collections.abc import Sequence
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
from asynctasq.errors import BrokerError, EnqueueFailed
from asynctasq_postgres.control import PostgresControl
from asynctasq_postgres.dequeue import Fetch, Request
from asynctasq_postgres.diagnostics import PostgresDiagnostics
from asynctasq_postgres.inspector import PostgresInspector
from asynctasq_postgres.messages import (
    DONE,
    ENCODING,
    ENQUEUE,
    EXTEND,
    MAX_BODY,
    MAX_DELAY,
    SETTLE,
    by_lock_order,
    check_message,
    check_seconds,
    chunks,
    columns,
    held,
    outcomes,
)
from asynctasq_postgres.notes import codec_of, unless_unwritable
from asynctasq_postgres.pool import Row
from asynctasq_postgres.schema import Migrations
from asynctasq_postgres.session import Session
from asynctasq_postgres.settings import PostgresSettings
from asynctasq_postgres.transaction import Transactions
from asynctasq_postgres.workers import PostgresWorkers

_AGAIN = (Outcome.RETRY, Outcome.RELEASE)


class PostgresDriver(
    SessionDriver[Session],
    Migrations,
    Transactions,
    PostgresInspector,
    PostgresControl,
    PostgresWorkers,
    PostgresDiagnostics,
):
    """Messages in tables of PostgreSQL."""

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
        accepted: list[str] = []
        for chunk in chunks(messages):
            news = [(one.queue, one.delay) for one in chunk]
            try:
                await self.session.store(news, ENQUEUE, *columns(chunk))
            except BrokerError as error:
                if not accepted:
                    raise
                rejected = [one.id for one in messages[len(accepted) :]]
                raise EnqueueFailed(str(error), accepted=accepted, rejected=rejected) from error
            accepted += [one.id for one in chunk]

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
        first: dict[tuple[str, str, object], Settlement] = {}
        late: list[Delivery] = []  # a second outcome in the same batch
        for item in settlements:
            one = item.delivery
            if first.setdefault((one.queue, one.id, one.receipt), item) is not item:
                late.append(one)
        items = sorted(first.values(), key=lambda item: (item.delivery.queue, item.delivery.id))
        deliveries = [item.delivery for item in items]
        if all(item.outcome is Outcome.DONE for item in items):
            rows = await self.session.call(DONE, *held(deliveries))
        else:
            rows = await self._settle(items, deliveries)
        return [*_lost(deliveries, rows), *late]

    async def _settle(
        self, items: Sequence[Settlement], deliveries: Sequence[Delivery]
    ) -> Sequence[Row]:
        with unless_unwritable():
            return await self._store(items, deliveries, "utf-8")
        ((encoding,),) = await self.session.call(ENCODING)
        with unless_unwritable():
            return await self._store(items, deliveries, codec_of(encoding))
        return await self._store(items, deliveries, "ascii")

    async def _store(
        self, items: Sequence[Settlement], deliveries: Sequence[Delivery], codec: str
    ) -> Sequence[Row]:
        again = [item for item in items if item.outcome in _AGAIN]
        news = [(item.delivery.queue, item.delay) for item in again]
        arguments = (*held(deliveries), *outcomes(items, codec))
        return await self.session.store(news, SETTLE, *arguments)

    async def extend(self, deliveries: Sequence[Delivery], *, lease: float) -> Sequence[Delivery]:
        """Extend leases; see `BaseDriver.extend`."""
        if not deliveries:
            return []
        ordered = by_lock_order(deliveries)
        rows = await self.session.call(EXTEND, *held(ordered), check_seconds(lease))
        return _lost(ordered, rows)


def _lost(deliveries: Sequence[Delivery], rows: Sequence[Row]) -> list[Delivery]:
    return [deliveries[position - 1] for (position,) in rows]
