"""Settles: a message that continues is published again first, and then acknowledged."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import cast

from asynctasq.drivers import Delivery, Outcome, Settlement
from asynctasq.errors import BrokerError, BrokerUnavailable
from asynctasq_rabbitmq.errors import ChannelClosed, LinkLost
from asynctasq_rabbitmq.leases import HeldDelivery, Holder, State
from asynctasq_rabbitmq.sender import OutgoingMessage, Sender

#: Maximum number of outcomes remembered for messages that the broker will redeliver, and their
#: age limit in seconds.
REMEMBERED = 10_000
REMEMBERED_FOR = 600.0
#: Seconds between attempts to give back a message whose lease ended.
RETRY_EVERY = 1.0


class Settler:
    """Settles the deliveries of one session.

    Args:
        spawn: runs a coroutine as a task owned by the session.
        find: returns the unacknowledged delivery of a queue's message, by its id.
    """

    def __init__(
        self,
        sender: Sender,
        spawn: Callable[[Coroutine[object, object, None]], None],
        find: Callable[[str, str], HeldDelivery | None],
    ) -> None:
        self._sender = sender
        self._spawn = spawn
        self._find = find
        self._remembered: OrderedDict[tuple[str, str], tuple[float, HeldDelivery, Settlement]]
        self._remembered = OrderedDict()

    async def settle(self, settlements: Sequence[Settlement]) -> list[Delivery]:
        """Apply outcomes; return the deliveries whose lease was lost."""
        lost: list[Delivery] = []
        good: list[Settlement] = []
        applied: list[HeldDelivery] = []
        for item in settlements:
            held = _held(item)
            if held.state is State.HELD:
                held.consumer.done_with(held, State.SETTLED)
                good.append(item)
            elif self._is_applied(held, item):
                held.state = State.APPLIED
                applied.append(held)
            else:
                lost.append(item.delivery)
        if good:
            await self._apply(good)
        for held in applied:  # reported now: `_apply` has not raised
            held.state = State.SETTLED
        return lost

    def recall(self, held: HeldDelivery) -> bool:
        """Apply a remembered outcome to a redelivered message; False if there is none."""
        entry = self._remembered.pop((held.consumer.queue, held.id), None)
        if entry is None:
            return False
        until, before, item = entry
        if not _is_same(held, before) or time.monotonic() > until:
            return False
        self._spawn(self._settle_again(held, before, item))
        return True

    async def give_back(self, deliveries: Sequence[HeldDelivery], *, counts: bool) -> None:
        """Publish messages again, with or without counting this attempt, and acknowledge them."""
        messages = [
            OutgoingMessage(
                held.id, held.consumer.queue, held.body, held.attempts + counts,
                abandoned=counts or held.abandoned,
            )
            for held in deliveries
        ]  # fmt: skip
        results = await self._sender.send(messages)
        failed = [
            held for held, error in zip(deliveries, results, strict=True) if error is not None
        ]
        _acknowledge(held for held in deliveries if held not in failed)
        if failed:
            raise next(error for error in results if error is not None)

    async def end_leases(self, deliveries: Sequence[HeldDelivery]) -> None:
        """Give back messages whose lease ended; retries until the broker accepts them."""
        while remaining := [held for held in deliveries if held.consumer.holds(held)]:
            try:
                await self.give_back(remaining, counts=True)
            except BrokerError:
                await asyncio.sleep(RETRY_EVERY)

    async def _settle_again(
        self, held: HeldDelivery, before: HeldDelivery, item: Settlement
    ) -> None:
        """Apply the outcome of `before` to the redelivered message; retries until it is applied.

        Nothing runs in this delivery, so it counts as the same attempt as `before`.
        """
        if held.attempts == before.attempts + 1:
            held.attempts, held.abandoned = before.attempts, before.abandoned
        again = Settlement(held.delivery(), item.outcome, item.delay, item.note)
        held.state = State.SETTLED
        while held.consumer.holds(held):
            try:
                await self._apply([again])
            except BrokerError:
                held.consumer.done_with(held, State.SETTLED)
                await asyncio.sleep(RETRY_EVERY)
            else:
                return
        before.copied = held.copied
        self._remember(before, item)

    def _is_applied(self, held: HeldDelivery, item: Settlement) -> bool:
        """Whether an outcome is applied already, or is remembered for the redelivered message."""
        if held.state is not State.ORPHANED or time.monotonic() >= held.deadline:
            return held.state is State.APPLIED
        later = self._find(held.consumer.queue, held.id)
        if later is not None and _is_same(later, held) and later.state is not State.BUFFERED:
            return False  # another dequeue took it, and its worker settles it
        self._remember(held, item)
        if later is not None and later.consumer.withdraw(later) and not self.recall(later):
            later.consumer.restore([later])  # another message with this id
        return True

    def _remember(self, held: HeldDelivery, item: Settlement) -> None:
        outcome = Settlement(item.delivery, Outcome.DONE) if held.copied else item
        key = (held.consumer.queue, held.id)
        self._remembered[key] = (time.monotonic() + REMEMBERED_FOR, held, outcome)
        while len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)

    async def _apply(self, items: Sequence[Settlement]) -> None:
        done = [_held(item) for item in items if item.outcome is Outcome.DONE]
        others = [item for item in items if item.outcome is not Outcome.DONE]
        written = done
        _acknowledge(done)
        failure: BrokerError | None = None
        if others:
            stored, failure = await self._store(others)
            written = [*done, *stored]
        unsure = await _wait_for_broker(written)
        for held in unsure:
            held.state = State.ORPHANED
        if unsure or failure:
            unreported(written)
            raise failure or BrokerUnavailable(
                "the connection to RabbitMQ ended during a settlement"
            )

    async def _store(
        self, items: Sequence[Settlement]
    ) -> tuple[list[HeldDelivery], BrokerError | None]:
        """Publish messages that continue; return those stored and acknowledged, and an error."""
        failure: BrokerError | None = None
        stored: list[HeldDelivery] = []
        try:
            results = await self._sender.send([_outgoing(item) for item in items])
        except BrokerError as error:
            results = [error] * len(items)
        for item, error in zip(items, results, strict=True):
            held = _held(item)
            if error is None:
                held.copied = True
                stored.append(held)
            else:
                failure = error
                held.consumer.hold_again(held)
        _acknowledge(stored)
        return stored, failure


def unreported(deliveries: Iterable[HeldDelivery]) -> None:
    """Mark outcomes as applied for the next `settle`: this call fails for other deliveries."""
    for held in deliveries:
        if held.state is State.SETTLED:
            held.state = State.APPLIED


def _is_same(held: HeldDelivery, before: HeldDelivery) -> bool:
    """Whether `held` is a later delivery of the message that `before` was."""
    return held.body == before.body and held.attempts >= before.attempts


def _held(item: Settlement) -> HeldDelivery:
    return cast(HeldDelivery, item.delivery.receipt)


def _outgoing(item: Settlement) -> OutgoingMessage:
    held = _held(item)
    queue, attempts = held.consumer.queue, held.attempts
    if item.outcome is Outcome.RELEASE:
        return OutgoingMessage(
            held.id, queue, held.body, attempts, item.delay, abandoned=held.abandoned
        )  # fmt: skip
    if item.outcome is Outcome.RETRY:
        return OutgoingMessage(held.id, queue, held.body, attempts + 1, item.delay)
    return OutgoingMessage(held.id, queue, held.body, attempts + 1, note=item.note)


def _acknowledge(deliveries: Iterable[HeldDelivery]) -> None:
    for consumer, ours in _by_consumer(deliveries).items():
        consumer.acknowledge(ours)


async def _wait_for_broker(deliveries: Sequence[HeldDelivery]) -> list[HeldDelivery]:
    """Wait until acknowledgements have arrived; return the deliveries for which it is unknown."""

    async def unsure(consumer: Holder, ours: list[HeldDelivery]) -> list[HeldDelivery]:
        try:
            await consumer.barrier()
        except (ChannelClosed, LinkLost):
            return ours
        return []

    waits = (unsure(consumer, ours) for consumer, ours in _by_consumer(deliveries).items())
    return [held for group in await asyncio.gather(*waits) for held in group]


def _by_consumer(deliveries: Iterable[HeldDelivery]) -> dict[Holder, list[HeldDelivery]]:
    grouped: dict[Holder, list[HeldDelivery]] = {}
    for held in deliveries:
        grouped.setdefault(held.consumer, []).append(held)
    return grouped
