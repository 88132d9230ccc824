"""Applying outcomes: what is deleted, what is hidden for a while, and what is sent elsewhere."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from asynctasq.drivers import Delivery, Outcome, Settlement
from asynctasq.errors import BrokerError, BrokerUnavailable
from asynctasq_sqs.client import TEN, Client, Entry
from asynctasq_sqs.errors import LeaseGone, NoSuchQueue
from asynctasq_sqs.leases import Receipt, quiet, receipt_of, whole_seconds
from asynctasq_sqs.messages import Letter, dead_letter
from asynctasq_sqs.names import is_fifo
from asynctasq_sqs.queues import Queues
from asynctasq_sqs.sender import Sender


@dataclass(slots=True)
class _Plan:
    """Outcomes by what is done for them."""

    delete: list[Receipt] = field(default_factory=list[Receipt])
    hide: list[tuple[Receipt, int]] = field(default_factory=list[tuple[Receipt, int]])
    move: dict[str, list[tuple[Receipt, Letter]]] = field(
        default_factory=lambda: defaultdict[str, list[tuple[Receipt, Letter]]](list)
    )
    bury: dict[str, list[tuple[Receipt, Letter]]] = field(
        default_factory=lambda: defaultdict[str, list[tuple[Receipt, Letter]]](list)
    )


class Settling:
    """Applies outcomes.

    A message that has to change is sent first and deleted then: in between there are two of it, and
    never none. A release takes an attempt back; a retry ends the count of SQS, which goes on only
    where a lease runs out; a dead one gets a note.
    """

    def __init__(self, client: Client, queues: Queues, sender: Sender) -> None:
        self._client = client
        self._queues = queues
        self._sender = sender

    async def settle(self, settlements: Sequence[Settlement]) -> list[Delivery]:
        """Apply outcomes; returns the deliveries whose lease was lost."""
        plan, lost, taken = _Plan(), list[Delivery](), list[tuple[Delivery, Receipt]]()
        applied: list[Receipt] = []
        receipts = [receipt_of(item.delivery) for item in settlements]
        for item, receipt in zip(settlements, receipts, strict=True):
            if receipt.settled and receipt.unreported:
                applied.append(receipt)
            elif receipt.good:
                _plan(plan, item, receipt)
                receipt.settled = True
                taken.append((item.delivery, receipt))
            else:
                lost.append(item.delivery)
        gone = _report(await self._carry_out(plan), [receipt for _, receipt in taken])
        for receipt in applied:  # reported now: `_report` has not raised
            receipt.unreported = False
        return [*lost, *(one for one, receipt in taken if receipt in gone)]

    async def delete(self, receipts: Sequence[Receipt]) -> dict[Receipt, BrokerError]:
        """Delete messages; returns the errors."""
        return await self._by_tens(
            "delete_message_batch", receipts, lambda one: {"ReceiptHandle": one.handle}
        )

    async def hide(self, spans: Sequence[tuple[Receipt, int]]) -> dict[Receipt, BrokerError]:
        """Let messages be delivered again after so many seconds; returns the errors."""
        seconds = dict(spans)
        for receipt in seconds:
            await quiet(receipt)
        return await self._by_tens(
            "change_message_visibility_batch",
            list(seconds),
            lambda one: {"ReceiptHandle": one.handle, "VisibilityTimeout": seconds[one]},
        )

    async def move(
        self, queue: str, items: Sequence[tuple[Receipt, Letter]], *, dead: bool = False
    ) -> dict[Receipt, BrokerError]:
        """Send letters to `queue`, or its dead-letter queue, and delete what they replace."""
        new = [(receipt, letter) for receipt, letter in items if not receipt.moved]
        sent = await self._sender.send(queue, [letter for _, letter in new], dead=dead)
        errors: dict[Receipt, BrokerError] = {}
        for (receipt, _), error in zip(new, sent, strict=True):
            if error is None:
                receipt.moved = True
            else:
                errors[receipt] = error
        return errors | await self.delete([one for one, _ in items if one.moved])

    async def _carry_out(self, plan: _Plan) -> dict[Receipt, BrokerError]:
        work: list[Awaitable[dict[Receipt, BrokerError]]] = []
        if plan.delete:
            work.append(self.delete(plan.delete))
        if plan.hide:
            work.append(self.hide(plan.hide))
        work += (self.move(queue, items) for queue, items in plan.move.items())
        work += (self.move(queue, items, dead=True) for queue, items in plan.bury.items())
        errors: dict[Receipt, BrokerError] = {}
        for part in await asyncio.gather(*work):
            errors |= part
        return errors

    async def _by_tens(
        self, operation: str, receipts: Iterable[Receipt], entry: Callable[[Receipt], Entry]
    ) -> dict[Receipt, BrokerError]:
        by_url: defaultdict[str, list[Receipt]] = defaultdict(list)
        for receipt in receipts:
            by_url[receipt.url].append(receipt)
        groups = [
            (url, all_of_it[start : start + TEN])
            for url, all_of_it in by_url.items()
            for start in range(0, len(all_of_it), TEN)
        ]
        results = await asyncio.gather(
            *(self._client.batch(operation, url, [*map(entry, group)]) for url, group in groups)
        )
        return {
            receipt: error
            for (_, group), errors in zip(groups, results, strict=True)
            for receipt, error in zip(group, errors, strict=True)
            if error is not None
        }


def _plan(plan: _Plan, item: Settlement, receipt: Receipt) -> None:
    delivery = item.delivery
    seconds = whole_seconds(item.delay)
    fifo = is_fifo(delivery.queue)
    if item.outcome is Outcome.DONE:
        plan.delete.append(receipt)
    elif item.outcome is Outcome.DEAD:
        letter = Letter(
            delivery.id, delivery.body, delivery.attempt, note=item.note, unique=uuid4().hex
        )
        plan.bury[delivery.queue].append((receipt, dead_letter(letter)))
    elif fifo:  # a message sent again would lose its place
        plan.hide.append((receipt, max(0, min(seconds, receipt.hideable()))))
    else:
        plan.move[delivery.queue].append((receipt, _again(item)))


def _again(item: Settlement) -> Letter:
    """What takes the place of a message that is delivered again.

    SQS has not delivered it yet. So one that SQS delivers more than once was abandoned.
    """
    delivery, is_release = item.delivery, item.outcome is Outcome.RELEASE
    return Letter(
        delivery.id,
        delivery.body,
        delivery.attempt - is_release,
        delay=item.delay,
        abandoned=is_release and delivery.abandoned,
    )


def _report(errors: dict[Receipt, BrokerError], taken: Sequence[Receipt]) -> set[Receipt]:
    """Take note of what was not applied: the lost leases; raises if there is more."""
    gone: set[Receipt] = set()
    failures: list[BrokerError] = []
    for receipt, error in errors.items():
        if not isinstance(error, (LeaseGone, NoSuchQueue)):
            receipt.settled = False
            failures.append(error)
        elif not receipt.moved:  # of what was moved, the copy is what counts
            receipt.lost = True
            gone.add(receipt)
    if failures:
        for receipt in taken:
            receipt.unreported = receipt.settled and receipt not in gone
        raise next((one for one in failures if isinstance(one, BrokerUnavailable)), failures[0])
    return gone
