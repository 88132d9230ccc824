"""The SQS driver: the seam's methods as calls of the SQS API."""

from collections.abc import Sequence
from typing import ClassVar, cast

from asynctasq.drivers import (
    Delivery,
    DriverSettings,
    Limits,
    Message,
    Settlement,
    State,
)
from asynctasq.drivers.session_driver import SessionDriver
from asynctasq_sqs import enqueue as enqueueing
from asynctasq_sqs.client import TEN
from asynctasq_sqs.inspector import SQSInspector
from asynctasq_sqs.messages import HEADER, LARGEST
from asynctasq_sqs.session import Session
from asynctasq_sqs.settings import SQSSettings


class SQSDriver(SessionDriver[Session], SQSInspector):
    """Messages in queues of AWS SQS, standard and FIFO.

    The name of a FIFO queue ends with ``.fifo``. SQS delays and changes none of its messages
    individually: `enqueue` accepts no delay, a release counts the attempt, and a retry blocks its
    message group.
    """

    settings_type: ClassVar[type[DriverSettings]] = SQSSettings
    limits = Limits(
        dequeue_batch=160,
        max_body=LARGEST - HEADER,
        max_delay=100 * 365 * 86400.0,
        lease_step=1.0,
        unique_ids=False,
        late_settle=False,
        exact_attempts=False,
        tells_abandoned=False,  # on FIFO queues; on standard queues it does
        inspects=frozenset({State.DEAD}),
        exact_counts=False,
        full_fetch=TEN,
        prefetch=0,
    )

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings or SQSSettings())

    def make_session(self) -> Session:
        """See `SessionDriver`."""
        return Session(cast(SQSSettings, self.settings))

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store messages; see `BaseDriver.enqueue`."""
        enqueueing.check(messages, self.limits.max_delay)
        await enqueueing.enqueue(self.session.sender, messages)

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take messages; see `BaseDriver.dequeue`."""
        unique = tuple(dict.fromkeys(queues))
        if not unique or limit < 1:
            return []
        limit = min(limit, self.limits.dequeue_batch)
        return await self.session.receiver.take(unique, limit=limit, lease=lease, wait=wait)

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes; see `BaseDriver.settle`."""
        session = self.session
        return await session.background.run(session.settler.settle(settlements))

    async def extend(self, deliveries: Sequence[Delivery], *, lease: float) -> Sequence[Delivery]:
        """Extend leases, within the 12 hours of SQS; see `BaseDriver.extend`."""
        return await self.session.leases.extend(deliveries, lease)
