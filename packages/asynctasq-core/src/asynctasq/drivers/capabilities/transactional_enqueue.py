"""The `TransactionalEnqueue` capability: stores messages in a transaction of the caller's."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from asynctasq.drivers.base_driver import Message


@runtime_checkable
class TransactionalEnqueue(Protocol):
    """Store messages in a transaction of the caller's: they come and go with its commit.

    The driver need not be connected. It recognises connections of its own client library, of other
    libraries for the same database, and of what wraps them (`asynctasq.drivers.caller_connection`).
    Any other is `BrokerRejected`, which names those it recognises.
    """

    async def enqueue_on(self, connection: object, messages: Sequence[Message]) -> None:
        """Store `messages` over `connection`, whether it is asynchronous or not."""
        ...

    def enqueue_on_sync(self, connection: object, messages: Sequence[Message]) -> None:
        """Store `messages` over a connection of synchronous code, in its thread."""
        ...
