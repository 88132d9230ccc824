"""Finds consumers whose queue was deleted and declared again.

The broker cancels the consumers of a deleted queue. But when a producer declares a quorum queue
again at once, RabbitMQ 3.10 cancels no consumer, and the new queue sends them messages that their
channels ignore. So `Topology` marks a consumed queue with an exchange that is deleted with it, and
the watch checks these marks at intervals.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from asynctasq.errors import BrokerError
from asynctasq_rabbitmq.consumer import Consumer
from asynctasq_rabbitmq.errors import ChannelClosed, LinkLost
from asynctasq_rabbitmq.topology import Topology

#: Seconds between two checks, and the maximum number of queues in one.
INTERVAL = 1.0
LIMIT = 20


class Watch:
    """Checks the consumers of one session until it is cancelled.

    Args:
        consumers: returns the consumers in use.
        topology: returns the topology of the consuming connection.
        on_missing: called with queues that were deleted.
    """

    def __init__(
        self,
        consumers: Callable[[], Iterable[Consumer]],
        topology: Callable[[], Awaitable[Topology]],
        on_missing: Callable[[set[str]], Awaitable[None]],
    ) -> None:
        self._consumers = consumers
        self._topology = topology
        self._on_missing = on_missing
        self._turn = 0

    async def run(self) -> None:
        """Check at intervals, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self._check()
            except (BrokerError, ChannelClosed, LinkLost):
                continue  # calls of the driver raise it, too; the next check is independent

    async def _check(self) -> None:
        if chosen := self._chosen():
            topology = await self._topology()
            for consumer in chosen:
                if consumer.usable and not await topology.is_marked(consumer.queue):
                    await self._on_missing({consumer.queue})

    def _chosen(self) -> list[Consumer]:
        """Return up to `LIMIT` consumers with credit, in rotation."""
        waiting = [item for item in self._consumers() if item.usable and item.credit > 0]
        start = self._turn % len(waiting) if waiting else 0
        self._turn = start + LIMIT
        return (waiting[start:] + waiting[:start])[:LIMIT]
