"""The `TransactionalEnqueue` capability: stores messages in the caller's transaction."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from asynctasq.drivers.base_driver import Message


@runtime_checkable
class TransactionalEnqueue(Protocol):
    """Store messages in the caller's transaction, which commits or rolls them back.

    The driver need not be connected. It accepts connections of its own client library, of other
    libraries for the same database, and their wrappers (`asynctasq.drivers.caller_connection`).
    For any other it raises `BrokerRejected`, which names the accepted kinds.
    """

    async def enqueue_on(self, connection: object, messages: Sequence[Message]) -> None:
        """Store `messages` over a synchronous or asynchronous `connection`."""
        ...

    def enqueue_on_sync(self, connection: object, messages: Sequence[Message]) -> None:
        """Store `messages` over a synchronous `connection`, in its thread."""
        ...
