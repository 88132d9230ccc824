"""The `Control` capability: pauses queues, and revokes held messages."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class Control(Protocol):
    """Hold queues back, and take messages away from whoever holds them."""

    async def pause(self, queue: str) -> bool:
        """Deliver nothing more of `queue`, to any worker, until `resume`; False if it was so.

        - Lasts until `resume`, whoever restarts; the queue need not hold anything.
        - Storing goes on, and so do held messages: they are extended and settled as ever.
        - Other queues of the same `dequeue` are delivered, and none of its callers spins.
        """
        ...

    async def resume(self, queue: str) -> bool:
        """Deliver `queue` again, to a `dequeue` that waits as well; False if it was not paused."""
        ...

    async def paused(self) -> Sequence[str]:
        """The paused queues, by name."""
        ...

    async def revoke(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove held messages for good, and return their ids; others are left alone.

        Whoever holds one is told that the lease is lost when it is next extended or settled.
        """
        ...
