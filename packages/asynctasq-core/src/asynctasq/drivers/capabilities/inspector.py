"""The `Inspector` capability: counts and reads stored messages, requeues and deletes them."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from asynctasq.drivers.stored import QueueStats, State, StoredMessage


@runtime_checkable
class Inspector(Protocol):
    """Read queues without consuming them; requeue and delete messages by id.

    `Limits.inspects` lists the supported states: some brokers cannot read a queue without
    consuming its messages.
    """

    async def queues(self) -> Sequence[QueueStats]:
        """Every queue that holds a message, by name.

        - Constant cost per queue on a server that keeps counts; a database may scan an index.
        - Raises `BrokerRejected` where the broker cannot list queues.
        """
        ...

    async def counts(self, queues: Sequence[str]) -> Sequence[QueueStats]:
        """The counts of `queues`, in their order, including empty queues."""
        ...

    async def browse(
        self, queue: str, state: State, *, limit: int, offset: int = 0
    ) -> Sequence[StoredMessage]:
        """Up to `limit` messages of one state: next due first; of dead messages, latest first."""
        ...

    async def find(self, queue: str, ids: Sequence[str]) -> Sequence[StoredMessage]:
        """The messages of `ids` that the queue holds, in the order of `ids`."""
        ...

    async def requeue(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Make dead messages deliverable again with no attempts counted; return their ids.

        Messages that are not dead are unchanged.
        """
        ...

    async def delete(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove ready, delayed and dead messages permanently; return their ids. Held ones stay."""
        ...

    async def purge(self, queue: str, state: State) -> int:
        """Remove all messages of one state and return how many; RUNNING is `BrokerRejected`."""
        ...
