"""Applying outcomes: what goes on is stored again first, and then removed where it was."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import cast

from asynctasq.drivers import Delivery, Outcome, Settlement
from asynctasq.errors import BrokerError, BrokerUnavailable
from asynctasq_rabbitmq.consumer import Consumer
from asynctasq_rabbitmq.errors import ChannelClosed, LinkLost
from asynctasq_rabbitmq.leases import Held, State
from asynctasq_rabbitmq.sender import Letter, Mail

#: Outcomes that are remembered for messages the broker will bring again, and for how long.
REMEMBERED = 10_000
REMEMBERED_FOR = 600.0
#: Seconds between two tries to give back a message whose lease ended.
RETRY_EVERY = 1.0


class Outcomes:
    """Settles what the consumers of one driver hold.

    Args:
        spawn: runs a coroutine as a task that somebody ends.
        find: what is held of a queue now, by the message's id.
    """

    def __init__(
        self,
        mail: Mail,
        spawn: Callable[[Coroutine[object, object, None]], None],
        find: Callable[[str, str], Held | None],
    ) -> None:
        self._mail = mail
        self._spawn = spawn
        self._find = find
        self._remembered: OrderedDict[tuple[str, str], tuple[float, Held, Settlement]]
        self._remembered = OrderedDict()

    async def settle(self, settlements: Sequence[Settlement]) -> list[Delivery]:
        """Apply outcomes, and return the deliveries whose lease was lost."""
        lost: list[Delivery] = []
        good: list[Settlement] = []
        applied: list[Held] = []
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

    def recall(self, held: Held) -> bool:
        """Apply what was decided about a message before the broker brought it again."""
        entry = self._remembered.pop((held.consumer.queue, held.id), None)
        if entry is None:
            return False
        until, before, item = entry
        if not _is_same(held, before) or time.monotonic() > until:
            return False
        self._spawn(self._settle_again(held, before, item))
        return True

    async def give_back(self, helds: Sequence[Held], *, counts: bool) -> None:
        """Let others have these messages; whether this delivery counts as an attempt."""
        letters = [
            Letter(
                held.id, held.consumer.queue, held.body, held.attempts + counts,
                abandoned=counts or held.abandoned,
            )
            for held in helds
        ]  # fmt: skip
        results = await self._mail.send(letters)
        failed = [held for held, error in zip(helds, results, strict=True) if error is not None]
        _acknowledge(held for held in helds if held not in failed)
        if failed:
            raise next(error for error in results if error is not None)

    async def end_leases(self, helds: Sequence[Held]) -> None:
        """Give back messages whose lease ended, for as long as it takes."""
        while left := [held for held in helds if held.consumer.holds(held)]:
            try:
                await self.give_back(left, counts=True)
            except BrokerError:
                await asyncio.sleep(RETRY_EVERY)

    async def _settle_again(self, held: Held, before: Held, item: Settlement) -> None:
        """Apply the outcome of `before` to the same message, for as long as it takes.

        This delivery is no attempt: nothing runs, so it is counted as the one before.
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

    def _is_applied(self, held: Held, item: Settlement) -> bool:
        """Whether an outcome is applied already, or will be when the broker brings the message."""
        if held.state is not State.ORPHANED or time.monotonic() >= held.deadline:
            return held.state is State.APPLIED
        back = self._find(held.consumer.queue, held.id)
        if back is not None and _is_same(back, held) and back.state is not State.BUFFERED:
            return False  # somebody took it, and settles it
        self._remember(held, item)
        if back is not None and back.consumer.withdraw(back) and not self.recall(back):
            back.consumer.restore([back])  # another message of this id
        return True

    def _remember(self, held: Held, item: Settlement) -> None:
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
            raise failure or BrokerUnavailable("the connection to RabbitMQ ended in a settlement")

    async def _store(self, items: Sequence[Settlement]) -> tuple[list[Held], BrokerError | None]:
        """Store what goes on; the messages that can be removed now, and what went wrong."""
        failure: BrokerError | None = None
        stored: list[Held] = []
        try:
            results = await self._mail.send([_letter(item) for item in items])
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


def unreported(helds: Iterable[Held]) -> None:
    """Keep for the next `settle` that outcomes were applied: this one fails for others."""
    for held in helds:
        if held.state is State.SETTLED:
            held.state = State.APPLIED


def _is_same(held: Held, before: Held) -> bool:
    """Whether `held` is a later delivery of the message that `before` was."""
    return held.body == before.body and held.attempts >= before.attempts


def _held(item: Settlement) -> Held:
    return cast(Held, item.delivery.receipt)


def _letter(item: Settlement) -> Letter:
    held = _held(item)
    queue, attempts = held.consumer.queue, held.attempts
    if item.outcome is Outcome.RELEASE:
        return Letter(
            held.id, queue, held.body, attempts, item.delay, abandoned=held.abandoned
        )  # fmt: skip
    if item.outcome is Outcome.RETRY:
        return Letter(held.id, queue, held.body, attempts + 1, item.delay)
    return Letter(held.id, queue, held.body, attempts + 1, note=item.note)


def _acknowledge(helds: Iterable[Held]) -> None:
    for consumer, ours in _by_consumer(helds).items():
        consumer.acknowledge(ours)


async def _wait_for_broker(helds: Sequence[Held]) -> list[Held]:
    """Wait until acknowledgements have arrived; those for which nobody knows."""

    async def unsure(consumer: Consumer, ours: list[Held]) -> list[Held]:
        try:
            await consumer.barrier()
        except (ChannelClosed, LinkLost):
            return ours
        return []

    waits = (unsure(consumer, ours) for consumer, ours in _by_consumer(helds).items())
    return [held for one in await asyncio.gather(*waits) for held in one]


def _by_consumer(helds: Iterable[Held]) -> dict[Consumer, list[Held]]:
    grouped: dict[Consumer, list[Held]] = {}
    for held in helds:
        grouped.setdefault(held.consumer, []).append(held)
    return grouped
