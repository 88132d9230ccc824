"""Finds consumers whose queue is another one by now.

A consumer whose queue is deleted is cancelled by the broker. But when a quorum queue is declared
again at once, by a producer, its consumers get neither word nor message (on RabbitMQ 3.10), and the
new queue gives messages to them that their channels ignore. So `Topology` marks a queue that is
consumed by an exchange that goes with it, and here these marks are looked for now and then.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from asynctasq.errors import BrokerError
from asynctasq_rabbitmq.consumer import Consumer
from asynctasq_rabbitmq.errors import ChannelClosed, LinkLost
from asynctasq_rabbitmq.topology import Topology

#: Seconds between two looks, and most queues that are looked at in one.
EVERY = 1.0
MOST = 20


class Watch:
    """Looks at the consumers of one session until it is cancelled.

    Args:
        consumers: those in use.
        topology: gives what the consuming connection has declared.
        missing: called with queues that turn out to be deleted.
    """

    def __init__(
        self,
        consumers: Callable[[], Iterable[Consumer]],
        topology: Callable[[], Awaitable[Topology]],
        missing: Callable[[set[str]], Awaitable[None]],
    ) -> None:
        self._consumers = consumers
        self._topology = topology
        self._missing = missing
        self._turn = 0

    async def run(self) -> None:
        """Look, again and again."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self._look()
            except (BrokerError, ChannelClosed, LinkLost):
                continue  # calls of the driver raise it, too; the next look is a new one

    async def _look(self) -> None:
        if chosen := self._chosen():
            topology = await self._topology()
            for consumer in chosen:
                if consumer.usable and not await topology.is_marked(consumer.queue):
                    await self._missing({consumer.queue})

    def _chosen(self) -> list[Consumer]:
        """Some of the consumers that may get messages: all of them have their turn."""
        some = [one for one in self._consumers() if one.usable and one.credit > 0]
        start = self._turn % len(some) if some else 0
        self._turn = start + MOST
        return (some[start:] + some[:start])[:MOST]
