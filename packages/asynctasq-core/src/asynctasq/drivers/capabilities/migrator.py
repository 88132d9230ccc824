"""The `Migrator` capability: creates and upgrades the broker's schema."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class Migrator(Protocol):
    """Create and upgrade the broker's schema by numbered migrations.

    Its methods are called on a driver that is not connected, and connect for themselves: `connect`
    refuses a schema that is missing or behind with `BrokerRejected`, which says what to run.
    """

    async def pending(self) -> Sequence[str]:
        """Names of the migrations that are not applied yet, in order."""
        ...

    async def migrate(self) -> Sequence[str]:
        """Apply what is pending, one process at a time, and return its names."""
        ...

    def migration_sql(self) -> str:
        """All migrations as SQL, to be read, or run by somebody with the rights to."""
        ...
