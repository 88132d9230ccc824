"""The SQS driver: the seam's methods as calls of the SQS API."""

import asyncio
import math
from collections import defaultdict
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
from asynctasq.drivers.enqueue_checks import check_delay, raise_failed
from asynctasq.drivers.session_driver import SessionDriver
from asynctasq.errors import BrokerRejected
from asynctasq_sqs.client import TEN
from asynctasq_sqs.inspector import SQSInspector
from asynctasq_sqs.messages import HEADER, LARGEST, Letter, check_size
from asynctasq_sqs.names import is_fifo
from asynctasq_sqs.session import Session
from asynctasq_sqs.settings import SQSSettings


class SQSDriver(SessionDriver[Session], SQSInspector):
    """Messages in queues of AWS SQS, standard and FIFO.

    A FIFO queue is one whose name ends with ``.fifo``. SQS delays and changes no message of it
    alone: `enqueue` takes no delay there, a release counts the attempt, and what is retried holds
    its group back.
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
        ahead=0,
    )

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings or SQSSettings())

    def make_session(self) -> Session:
        """See `SessionDriver`."""
        return Session(cast(SQSSettings, self.settings))

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store messages; see `BaseDriver.enqueue`."""
        for message in messages:
            self._check(message)
        by_queue: defaultdict[str, list[Message]] = defaultdict(list)
        # what is due earlier goes first: SQS counts whole seconds, and may keep the order
        for message in sorted(messages, key=lambda one: one.delay):
            by_queue[message.queue].append(message)
        session = self.session
        results = await asyncio.gather(
            *(session.sender.send(queue, _letters(group)) for queue, group in by_queue.items())
        )
        raise_failed(
            (message.id, error)
            for group, errors in zip(by_queue.values(), results, strict=True)
            for message, error in zip(group, errors, strict=True)
        )

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take messages; see `BaseDriver.dequeue`."""
        unique = tuple(dict.fromkeys(queues))
        if not unique or limit < 1:
            return []
        limit = min(limit, self.limits.dequeue_batch)
        return await self.session.polls.take(unique, limit=limit, lease=lease, wait=wait)

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes; see `BaseDriver.settle`."""
        session = self.session
        return await session.background.run(session.settling.settle(settlements))

    async def extend(self, deliveries: Sequence[Delivery], *, lease: float) -> Sequence[Delivery]:
        """Extend leases; see `BaseDriver.extend`. SQS lets none last longer than 12 hours."""
        return await self.session.leases.extend(deliveries, lease)

    def _check(self, message: Message) -> None:
        check_delay(message.id, message.delay, longest=self.limits.max_delay)
        if message.delay and is_fifo(message.queue):
            raise BrokerRejected(
                f"message {message.id:.80} has a delay of {message.delay} seconds;"
                f" the FIFO queue {message.queue} delays no single message"
            )
        check_size(Letter(message.id, message.body, delay=math.ceil(message.delay)))


def _letters(messages: Sequence[Message]) -> list[Letter]:
    return [Letter(one.id, one.body, delay=one.delay) for one in messages]
