"""The `Inspector` capability: looks into queues, and requeues or deletes dead messages."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from asynctasq.drivers.stored import QueueStats, State, StoredMessage


@runtime_checkable
class Inspector(Protocol):
    """Look into queues and put dead messages right, by message id.

    `Limits.inspects` tells for which states: a queue of some brokers cannot be looked into
    without taking its messages out.
    """

    async def queues(self) -> Sequence[QueueStats]:
        """Every queue that holds a message, by name.

        - Costs a server that keeps counts nothing per message; a database may count its index.
        - Raises `BrokerRejected` where the broker does not tell which queues there are.
        """
        ...

    async def counts(self, queues: Sequence[str]) -> Sequence[QueueStats]:
        """These queues, in the order asked for, also those that hold nothing."""
        ...

    async def browse(
        self, queue: str, state: State, *, limit: int, offset: int = 0
    ) -> Sequence[StoredMessage]:
        """Up to `limit` messages of one state: next to be delivered, or latest dead, first."""
        ...

    async def find(self, queue: str, ids: Sequence[str]) -> Sequence[StoredMessage]:
        """Those of `ids` that the queue holds, in the order asked for."""
        ...

    async def requeue(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Make dead messages deliverable again with no attempts counted; return their ids.

        Ids that are not dead are left alone.
        """
        ...

    async def delete(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove waiting and dead messages for good; return their ids. Held ones stay."""
        ...

    async def purge(self, queue: str, state: State) -> int:
        """Remove all messages of one state and return how many; RUNNING is `BrokerRejected`."""
        ...
