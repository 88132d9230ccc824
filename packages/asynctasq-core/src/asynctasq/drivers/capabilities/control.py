"""The `Control` capability: pauses queues, and revokes held messages."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class Control(Protocol):
    """Pause queues, and revoke messages that workers hold."""

    async def pause(self, queue: str) -> bool:
        """Stop delivering `queue` to all workers until `resume`; False if it was paused.

        - Survives restarts of workers and of the broker; the queue may be empty.
        - Messages can still be enqueued, and held messages extended and settled.
        - Other queues of the same `dequeue` are delivered, and none of its callers spins.
        """
        ...

    async def resume(self, queue: str) -> bool:
        """Deliver `queue` again, also to waiting dequeues; False if it was not paused."""
        ...

    async def paused(self) -> Sequence[str]:
        """The paused queues, by name."""
        ...

    async def revoke(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove held messages permanently, and return their ids; other messages are unchanged.

        The next `settle` or `extend` of a removed message reports a lost lease.
        """
        ...
