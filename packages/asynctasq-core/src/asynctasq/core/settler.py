"""Brings outcomes to the broker, in batches, for as long as it takes."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from asynctasq.core.backoff import Backoff
from asynctasq.core.group_commit import GroupCommit
from asynctasq.drivers.base_driver import BaseDriver, Delivery, Settlement
from asynctasq.errors import BrokerRejected, BrokerUnavailable

logger = logging.getLogger("asynctasq.worker")

BATCH = 1000
#: Seconds in which a message that became due has arrived in its queue, on any broker.
GRACE = 2.0


class Settler:
    """Settles what it is given; an outcome waits here while the broker is away.

    Args:
        most: outcomes that may wait before no more tasks should be taken: what was done and not
            settled when a worker dies will be done again.
        on_settled: called with deliveries that need no lease any more.
    """

    def __init__(
        self, driver: BaseDriver, *, most: int, on_settled: Callable[[Sequence[Delivery]], None]
    ) -> None:
        self._most = most
        self._driver = driver
        self._on_settled = on_settled
        self._backoff = Backoff()
        self._outcomes: GroupCommit[Settlement] = GroupCommit(self._settle, limit=BATCH)
        self._unsettled: dict[tuple[str, str], Settlement] = {}
        self._closed = False
        self._latest_due = 0.0

    @property
    def awaits_retry(self) -> bool:
        """Whether something it gave back with a delay is not due yet, or has just become due."""
        return time.monotonic() < self._latest_due + GRACE

    @property
    def congested(self) -> bool:
        """Whether so many outcomes wait that no more tasks should be taken."""
        return len(self._unsettled) >= self._most

    def add(self, settlement: Settlement) -> None:
        """Settle with the next batch."""
        if self._closed:  # a task that ignored its cancellation, and was given back already
            return
        self._unsettled[settlement.delivery.queue, settlement.delivery.id] = settlement
        self._outcomes.add(settlement)

    def settle_again(self, delivery: Delivery) -> bool:
        """Settle a new delivery of a message whose outcome waits here already, if one does."""
        known = self._unsettled.get((delivery.queue, delivery.id))
        if known is not None:
            self.add(replace(known, delivery=delivery))
        return known is not None

    async def flush(self) -> None:
        """Settle all that waits, for as long as it takes."""
        await self._outcomes.flush()

    async def close(self, timeout: float) -> bool:
        """Settle all that waits, for `timeout` seconds; False if some of it is lost."""
        self._closed = True
        try:
            async with asyncio.timeout(timeout):
                await self._outcomes.flush()
        except TimeoutError:
            return False
        finally:
            await self._outcomes.stop()
        return True

    async def _settle(self, settlements: Sequence[Settlement]) -> None:
        while True:
            try:
                lost = await self._driver.settle(settlements)
            except BrokerUnavailable as error:
                if not self._backoff:
                    logger.warning("outcomes wait: %s", error)
                await asyncio.sleep(self._backoff.next())
            except BrokerRejected as error:
                await self._settle_rejected(settlements, error)
                break
            else:
                self._report(lost)
                break
        self._backoff.reset()
        latest = max(one.delay for one in settlements)
        if latest:
            self._latest_due = max(self._latest_due, time.monotonic() + latest)
        for settlement in settlements:
            delivery = settlement.delivery
            if self._unsettled.get((delivery.queue, delivery.id)) is settlement:
                del self._unsettled[delivery.queue, delivery.id]
        self._on_settled([settlement.delivery for settlement in settlements])

    async def _settle_rejected(
        self, settlements: Sequence[Settlement], error: BrokerRejected
    ) -> None:
        """Find out whose fault it was, so that the others are settled."""
        if len(settlements) == 1:
            delivery = settlements[0].delivery
            logger.error(
                "outcome of %s on %s refused, it will run again: %s",
                delivery.id, delivery.queue, error,
            )  # fmt: skip
            return
        for settlement in settlements:
            await self._settle([settlement])

    def _report(self, lost: Sequence[Delivery]) -> None:
        for delivery in lost:
            logger.warning(
                "outcome of %s on %s discarded: it was taken over, or cancelled by somebody",
                delivery.id, delivery.queue,
            )  # fmt: skip
