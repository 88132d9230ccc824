"""Settles: deletes messages, hides them for a while, or sends a copy and deletes the original."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from asynctasq.drivers import Delivery, Outcome, Settlement
from asynctasq.errors import BrokerError, BrokerUnavailable
from asynctasq_sqs.client import TEN, Client, Entry
from asynctasq_sqs.errors import LeaseGone, NoSuchQueue
from asynctasq_sqs.leases import Receipt, receipt_of, wait_for_extensions, whole_seconds
from asynctasq_sqs.messages import Content, fit_note
from asynctasq_sqs.names import is_fifo
from asynctasq_sqs.queues import Queues
from asynctasq_sqs.sender import Sender


@dataclass(slots=True)
class _Plan:
    """Outcomes by the requests that apply them."""

    delete: list[Receipt] = field(default_factory=list[Receipt])
    hide: list[tuple[Receipt, int]] = field(default_factory=list[tuple[Receipt, int]])
    move: dict[str, list[tuple[Receipt, Content]]] = field(
        default_factory=lambda: defaultdict[str, list[tuple[Receipt, Content]]](list)
    )
    bury: dict[str, list[tuple[Receipt, Content]]] = field(
        default_factory=lambda: defaultdict[str, list[tuple[Receipt, Content]]](list)
    )


class Settler:
    """Applies outcomes.

    To change a message, a copy is sent before the original is deleted: in between there are two,
    and never none. The copy of a release has one attempt less, that of a retry has the attempts
    counted so far (SQS counts deliveries of a copy anew), and that of a dead message has a note.
    """

    def __init__(self, client: Client, queues: Queues, sender: Sender) -> None:
        self._client = client
        self._queues = queues
        self._sender = sender

    async def settle(self, settlements: Sequence[Settlement]) -> list[Delivery]:
        """Apply outcomes; return the deliveries that lost their lease."""
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
        for receipt in applied:  # reported by this call: `_report` did not raise
            receipt.unreported = False
        return [*lost, *(one for one, receipt in taken if receipt in gone)]

    async def delete(self, receipts: Sequence[Receipt]) -> dict[Receipt, BrokerError]:
        """Delete messages; return the errors."""
        return await self._by_tens(
            "delete_message_batch", receipts, lambda one: {"ReceiptHandle": one.handle}
        )

    async def hide(self, spans: Sequence[tuple[Receipt, int]]) -> dict[Receipt, BrokerError]:
        """Make messages visible after the given seconds each; return the errors."""
        seconds = dict(spans)
        for receipt in seconds:
            await wait_for_extensions(receipt)
        return await self._by_tens(
            "change_message_visibility_batch",
            list(seconds),
            lambda one: {"ReceiptHandle": one.handle, "VisibilityTimeout": seconds[one]},
        )

    async def move(
        self, queue: str, items: Sequence[tuple[Receipt, Content]], *, dead: bool = False
    ) -> dict[Receipt, BrokerError]:
        """Send contents to `queue`, or its dead-letter queue, and delete the originals."""
        new = [(receipt, content) for receipt, content in items if not receipt.moved]
        sent = await self._sender.send(queue, [content for _, content in new], dead=dead)
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
            (url, group[start : start + TEN])
            for url, group in by_url.items()
            for start in range(0, len(group), TEN)
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
        content = Content(
            delivery.id, delivery.body, delivery.attempt, note=item.note, unique=uuid4().hex
        )
        plan.bury[delivery.queue].append((receipt, fit_note(content)))
    elif fifo:  # a copy would lose its place in the order
        plan.hide.append((receipt, max(0, min(seconds, receipt.hideable()))))
    else:
        plan.move[delivery.queue].append((receipt, _copy(item)))


def _copy(item: Settlement) -> Content:
    """Return the copy of a message that is to be delivered again.

    SQS counts deliveries of the copy from 0: a copy delivered more than once was abandoned.
    """
    delivery, is_release = item.delivery, item.outcome is Outcome.RELEASE
    return Content(
        delivery.id,
        delivery.body,
        delivery.attempt - is_release,
        delay=item.delay,
        abandoned=is_release and delivery.abandoned,
    )


def _report(errors: dict[Receipt, BrokerError], taken: Sequence[Receipt]) -> set[Receipt]:
    """Return the receipts of lost leases; raise the error of any other failure."""
    gone: set[Receipt] = set()
    failures: list[BrokerError] = []
    for receipt, error in errors.items():
        if not isinstance(error, (LeaseGone, NoSuchQueue)):
            receipt.settled = False
            failures.append(error)
        elif not receipt.moved:  # a copy is stored: the outcome is applied
            receipt.lost = True
            gone.add(receipt)
    if failures:
        for receipt in taken:
            receipt.unreported = receipt.settled and receipt not in gone
        raise next((one for one in failures if isinstance(one, BrokerUnavailable)), failures[0])
    return gone
