"""The RabbitMQ driver: implements the seam; calls run in the driver's own thread."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Self, cast

from asynctasq.drivers import (
    BaseDriver,
    Delivery,
    DriverSettings,
    Limits,
    Message,
    Settlement,
    State,
)
from asynctasq.drivers.enqueue_checks import check_delay
from asynctasq.errors import BrokerError, BrokerRejected, BrokerUnavailable
from asynctasq_rabbitmq.dequeue import Fetch, Request, give_back
from asynctasq_rabbitmq.enqueue import check, store
from asynctasq_rabbitmq.inspector import RabbitMQInspector
from asynctasq_rabbitmq.ladder import MAX_DELAY
from asynctasq_rabbitmq.leases import HeldDelivery, Owner
from asynctasq_rabbitmq.session import Session
from asynctasq_rabbitmq.settings import RabbitMQSettings
from asynctasq_rabbitmq.settle import unreported


class RabbitMQDriver(RabbitMQInspector, BaseDriver):
    """Messages in RabbitMQ 3.10 or later: quorum queues, confirms, and a ladder of delays."""

    settings_type: ClassVar[type[DriverSettings]] = RabbitMQSettings
    limits = Limits(
        dequeue_batch=1000,
        max_body=16 * 1024 * 1024,
        max_delay=MAX_DELAY,
        unique_ids=False,
        late_settle=False,
        leases_outlive_connections=False,
        exact_attempts=False,
        inspects=frozenset({State.DEAD}),
    )

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings or RabbitMQSettings())
        if self._rabbitmq_settings.management_url() is not None:
            self.limits = replace(
                self.limits, exact_counts=False
            )  # the management API lags by seconds
        self._connecting = asyncio.Lock()
        self._session: Session | None = None
        self._is_sibling = False

    @property
    def _rabbitmq_settings(self) -> RabbitMQSettings:
        return cast(RabbitMQSettings, self.settings)

    def sibling(self) -> Self:
        """Return a second driver, which connects on demand: `extend` needs no connection."""
        sibling = super().sibling()
        sibling._is_sibling = True
        return sibling

    async def connect(self) -> None:
        """Connect; see `BaseDriver.connect`."""
        if not self._is_sibling:
            await self._connect()

    async def disconnect(self) -> None:
        """Hand back buffered messages and close the connections; see `BaseDriver.disconnect`."""
        async with self._connecting:
            session, self._session = self._session, None
            if session is not None:
                await session.end()

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store messages; see `BaseDriver.enqueue`."""
        check(messages, self.limits)
        if messages:
            await store(await self.connected(), messages)

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take messages; see `BaseDriver.dequeue`."""
        unique = tuple(dict.fromkeys(queues))
        if not unique or limit < 1:
            return []
        request = Request(unique, min(limit, self.limits.dequeue_batch), lease)
        session = await self.connected()
        fetch = Fetch(request, session.consumer)
        return await session.run(lambda: fetch.run(wait), undo=give_back)

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes; see `BaseDriver.settle`."""
        by_owner: dict[Owner, list[Settlement]] = {}
        for item in settlements:
            check_delay(item.delivery.id, item.delay, longest=self.limits.max_delay)
            owner = _held(item.delivery).consumer.owner
            by_owner.setdefault(owner, []).append(item)
        return await _settled(by_owner)

    async def extend(self, deliveries: Sequence[Delivery], *, lease: float) -> Sequence[Delivery]:
        """Extend leases; see `BaseDriver.extend`."""
        return [delivery for delivery in deliveries if not _extended(_held(delivery), lease)]

    async def _connect(self) -> Session:
        async with self._connecting:
            if self._session is None:
                self._session = await Session.start(self._rabbitmq_settings)
            return self._session

    async def connected(self) -> Session:
        """Return the session, connecting a sibling; raise `BrokerUnavailable` if not connected."""
        if self._session is not None:
            return self._session
        if self._is_sibling:
            return await self._connect()
        raise BrokerUnavailable("the driver is not connected; call connect() first")


async def _settled(by_owner: Mapping[Owner, Sequence[Settlement]]) -> Sequence[Delivery]:
    """Settle with each owner, return the lost deliveries, then raise the first error."""
    if len(by_owner) == 1:
        ((owner, items),) = by_owner.items()
        return await owner.settle(items)
    lost: list[Delivery] = []
    applied: list[HeldDelivery] = []
    failure: BrokerError | None = None
    for owner, items in by_owner.items():
        try:
            lost_here = await owner.settle(items)
        except BrokerError as error:
            failure = failure or error
        else:
            lost += lost_here
            applied += (_held(item.delivery) for item in items if item.delivery not in lost_here)
    if failure is not None:
        unreported(applied)
        raise failure
    return lost


def _held(delivery: Delivery) -> HeldDelivery:
    if not isinstance(delivery.receipt, HeldDelivery):
        raise BrokerRejected(f"message {delivery.id:.80} was not delivered by this process")
    return delivery.receipt


def _extended(held: HeldDelivery, seconds: float) -> bool:
    return held.consumer.owner.extend(held, seconds)
