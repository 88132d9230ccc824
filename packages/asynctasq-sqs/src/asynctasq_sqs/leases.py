"""Leases: who may still settle a delivery, by this process's own account.

SQS lets the holder of an old receipt handle delete a message that somebody else holds by now. So
a receipt knows when its lease ends by the local clock, counted from before SQS was asked, and
what has ended is lost: it is never sent to SQS.
"""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from asynctasq.drivers import Delivery
from asynctasq.errors import BrokerError, BrokerRejected
from asynctasq_sqs.client import CALL_LIMIT, TEN, Client
from asynctasq_sqs.errors import LeaseGone, NoSuchQueue
from asynctasq_sqs.messages import Received

#: Longest time in seconds that SQS hides a message from its receipt on, all extensions included.
LONGEST = 12 * 3600
#: Seconds short of that at which no more is asked for: clocks and calls are not exact.
SPARE = 60


@dataclass(eq=False)
class Receipt:
    """The right to settle one delivery; drivers of one process share it.

    Attributes:
        url: of the queue in SQS.
        taken, until: when the lease began and when it ends, by the local clock.
        lost: another receipt of the same message is known, or SQS said so.
        settled: an outcome was sent, or is being sent.
        unreported: it was applied by a call that failed for others.
        moved: a copy was stored elsewhere; what is left is to delete this message.
        extending: the extensions under way, of whatever driver.
    """

    url: str
    handle: str
    taken: float
    until: float
    lost: bool = False
    settled: bool = False
    unreported: bool = False
    moved: bool = False
    extending: set[object] = field(default_factory=set[object])

    @property
    def good(self) -> bool:
        """Whether an outcome can be applied."""
        return not (self.lost or self.settled) and time.monotonic() < self.until

    def hideable(self) -> int:
        """For how many seconds from now on SQS can hide the message, at most."""
        return int(LONGEST - SPARE - (time.monotonic() - self.taken))


def receipt_of(delivery: Delivery) -> Receipt:
    """The receipt of a delivery of this driver; `BrokerRejected` for any other."""
    if not isinstance(delivery.receipt, Receipt):
        raise BrokerRejected(f"message {delivery.id} was not delivered by SQS in this process")
    return delivery.receipt


def whole_seconds(seconds: float) -> int:
    """`seconds` as SQS takes them, rounded up; refuses what is no length of time."""
    if not (math.isfinite(seconds) and seconds >= 0):
        raise BrokerRejected(f"{seconds} is no length of time")
    return math.ceil(seconds)


class Leases:
    """The leases one driver gave and extends."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._latest: WeakValueDictionary[tuple[str, str], Receipt] = WeakValueDictionary()

    def begin(self, url: str, received: Received, *, began: float, lease: int) -> Receipt:
        """The receipt of what a poll brought, which SQS had not sent before `began`."""
        receipt = Receipt(url, received.handle, time.monotonic(), began + lease)
        if earlier := self._latest.get((url, received.key)):
            earlier.lost = True
        self._latest[url, received.key] = receipt
        return receipt

    async def extend(self, deliveries: Sequence[Delivery], lease: float) -> list[Delivery]:
        """Make leases end so many seconds from now; returns what is lost."""
        seconds = whole_seconds(lease)
        by_url: defaultdict[str, list[Receipt]] = defaultdict(list)
        receipts = [receipt_of(delivery) for delivery in deliveries]
        for receipt in receipts:
            if receipt.good:
                by_url[receipt.url].append(receipt)
        errors = await asyncio.gather(
            *(
                self._extend(url, group[start : start + TEN], seconds)
                for url, group in by_url.items()
                for start in range(0, len(group), TEN)
            )
        )
        for error in errors:
            if error is not None:
                raise error
        return [one for one, receipt in zip(deliveries, receipts, strict=True) if not receipt.good]

    async def _extend(self, url: str, receipts: list[Receipt], seconds: int) -> BrokerError | None:
        started = time.monotonic()
        spans = [min(seconds, max(0, receipt.hideable())) for receipt in receipts]
        entries = [
            {"ReceiptHandle": receipt.handle, "VisibilityTimeout": span}
            for receipt, span in zip(receipts, spans, strict=True)
        ]
        this = object()
        for receipt in receipts:
            receipt.extending.add(this)
        try:
            errors = await self._client.batch("change_message_visibility_batch", url, entries)
        finally:
            for receipt in receipts:
                receipt.extending.discard(this)
        failure: BrokerError | None = None
        for receipt, span, error in zip(receipts, spans, errors, strict=True):
            if error is None:
                receipt.until = started + span
            elif isinstance(error, (LeaseGone, NoSuchQueue)):
                receipt.lost = True
            else:
                failure = error
        return failure


async def quiet(receipt: Receipt) -> None:
    """Wait until no extension is under way, which would undo what is sent next."""
    deadline = time.monotonic() + CALL_LIMIT
    while receipt.extending and time.monotonic() < deadline:  # noqa: ASYNC110 - another thread
        await asyncio.sleep(0.01)
