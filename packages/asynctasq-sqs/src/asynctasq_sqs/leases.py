"""Leases: receipts with a local deadline, and extending them.

SQS accepts an old receipt handle to delete a message that another worker holds by now. So a receipt
records when its lease ends by the local clock, counted from before the request. After that the
lease is lost, and its outcome is never sent to SQS.
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

#: Longest time in seconds for which SQS hides a received message, all extensions included.
LONGEST = 12 * 3600
#: Safety margin below that in seconds: clocks and calls are not exact.
SPARE = 60


@dataclass(eq=False)
class Receipt:
    """The fencing token of one delivery, shared by all drivers of a process.

    Attributes:
        url: of the queue in SQS.
        taken, until: start and end of the lease, by the local clock.
        lost: a later receipt of the same message exists, or SQS refused this one.
        settled: an outcome was sent, or is being sent.
        unreported: the outcome was applied, but its `settle` call raised for other messages.
        moved: a copy was stored elsewhere; only the deletion of this message is left.
        extending: the extensions under way, of any driver.
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
        """Whether the lease holds and no outcome was sent."""
        return not (self.lost or self.settled) and time.monotonic() < self.until

    def hideable(self) -> int:
        """Return the seconds for which SQS can still hide the message."""
        return int(LONGEST - SPARE - (time.monotonic() - self.taken))


def receipt_of(delivery: Delivery) -> Receipt:
    """Return the receipt of a delivery; raises `BrokerRejected` for a foreign one."""
    if not isinstance(delivery.receipt, Receipt):
        raise BrokerRejected(f"message {delivery.id} was not delivered by SQS in this process")
    return delivery.receipt


def whole_seconds(seconds: float) -> int:
    """Round `seconds` up, as SQS takes them; raises `BrokerRejected` for an invalid duration."""
    if not (math.isfinite(seconds) and seconds >= 0):
        raise BrokerRejected(f"{seconds} is not a duration in seconds")
    return math.ceil(seconds)


class Leases:
    """The leases that one driver begins and extends."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._latest: WeakValueDictionary[tuple[str, str], Receipt] = WeakValueDictionary()

    def begin(self, url: str, received: Received, *, began: float, lease: int) -> Receipt:
        """Return the receipt of a received message, which SQS had not sent before `began`."""
        receipt = Receipt(url, received.handle, time.monotonic(), began + lease)
        if earlier := self._latest.get((url, received.key)):
            earlier.lost = True
        self._latest[url, received.key] = receipt
        return receipt

    async def extend(self, deliveries: Sequence[Delivery], lease: float) -> list[Delivery]:
        """Extend leases to `lease` seconds from now; return the deliveries that lost theirs."""
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
        extension = object()
        for receipt in receipts:
            receipt.extending.add(extension)
        try:
            errors = await self._client.batch("change_message_visibility_batch", url, entries)
        finally:
            for receipt in receipts:
                receipt.extending.discard(extension)
        failure: BrokerError | None = None
        for receipt, span, error in zip(receipts, spans, errors, strict=True):
            if error is None:
                receipt.until = started + span
            elif isinstance(error, (LeaseGone, NoSuchQueue)):
                receipt.lost = True
            else:
                failure = error
        return failure


async def wait_for_extensions(receipt: Receipt) -> None:
    """Wait until no extension is under way, which would override the next request."""
    deadline = time.monotonic() + CALL_LIMIT
    while receipt.extending and time.monotonic() < deadline:  # noqa: ASYNC110 - another thread
        await asyncio.sleep(0.01)
