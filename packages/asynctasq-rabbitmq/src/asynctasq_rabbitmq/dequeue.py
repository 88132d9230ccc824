"""One dequeue: takes messages from queues in order, and waits until there are any."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import cast

from asynctasq.drivers import Delivery
from asynctasq_rabbitmq.consumer import Consumer
from asynctasq_rabbitmq.errors import ChannelClosed
from asynctasq_rabbitmq.leases import HeldDelivery, Holder

#: Seconds after which a dequeue without credit asks for more; until then, settlements under way
#: may free some.
STUCK_LIMIT = 0.05
#: Restarts of a dequeue whose channel was closed by the broker.
RESTARTS = 3


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of one dequeue; `lease` in seconds."""

    queues: Sequence[str]
    limit: int
    lease: float


class Fetch:
    """One call of `BaseDriver.dequeue`.

    Args:
        consumer: returns the consumer of a queue.
    """

    def __init__(self, request: Request, consumer: Callable[[str], Awaitable[Consumer]]) -> None:
        self._request = request
        self._consumer = consumer
        self._event = asyncio.Event()
        self._joined: list[Consumer] = []
        self._taken: list[Delivery] = []

    async def run(self, wait: float) -> list[Delivery]:
        """Return leased messages, or none after `wait` seconds."""
        deadline = time.monotonic() + wait
        for restart in range(RESTARTS + 1):
            try:
                return await self._run(deadline, waits=wait > 0)
            except ChannelClosed:  # a consumer timeout, or a deleted queue
                if restart == RESTARTS:
                    raise
        raise AssertionError("unreachable")

    async def _run(self, deadline: float, *, waits: bool) -> list[Delivery]:
        try:
            for queue in self._request.queues:
                await self._ask(queue, waits=waits)
                if not self._room:
                    break
            while not self._taken and (left := deadline - time.monotonic()) > 0:
                await self._wait(left)
                for consumer in self._joined:
                    self._take(consumer)
        except BaseException:  # given back, and raised again
            give_back(self._taken)
            self._taken = []
            raise
        finally:
            for consumer in self._joined:
                consumer.leave(self._event)
            self._joined.clear()
        return self._taken

    @property
    def _room(self) -> int:
        return self._request.limit - len(self._taken)

    def _take(self, consumer: Consumer) -> None:
        if self._room and consumer.buffered:
            deadline = time.monotonic() + self._request.lease
            self._taken += consumer.take(self._room, deadline)

    async def _ask(self, queue: str, *, waits: bool) -> None:
        """Take the messages of one queue; it is empty if a consumer with credit received none."""
        consumer = await self._consumer(queue)
        consumer.join(self._event, self._room)
        self._joined.append(consumer)
        self._take(consumer)
        if not self._room:
            return
        if waits:
            has_grown = await consumer.ask(consumer.wanted)
            is_last = queue == self._request.queues[-1]
            needs_fence = has_grown and not is_last
        else:
            await consumer.ask_more(self._room)
            needs_fence = True
        if needs_fence and not self._taken:
            await consumer.fence(self._room)
        self._take(consumer)

    async def _wait(self, left: float) -> None:
        for consumer in self._joined:
            if consumer.lost is not None:
                raise consumer.lost
            if not consumer.usable:
                raise ChannelClosed(404, f"queue {consumer.queue} was deleted")
        stuck = [consumer for consumer in self._joined if consumer.available <= 0]
        self._event.clear()
        try:
            async with asyncio.timeout(min(left, STUCK_LIMIT) if stuck else left):
                await self._event.wait()
        except TimeoutError:
            for consumer in stuck:
                if consumer.available <= 0 and consumer.lost is None:
                    await consumer.ask_more(consumer.wanted)


def give_back(deliveries: Sequence[Delivery]) -> None:
    """Put deliveries back into their buffers: their dequeue was cancelled."""
    by_consumer: dict[Holder, list[HeldDelivery]] = {}
    for delivery in deliveries:
        held = cast(HeldDelivery, delivery.receipt)
        by_consumer.setdefault(held.consumer, []).append(held)
    for consumer, taken in by_consumer.items():
        consumer.untake(taken)
