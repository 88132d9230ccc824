"""The `Migrator` capability: creates and upgrades the broker's schema."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class Migrator(Protocol):
    """Create and upgrade the broker's schema by numbered migrations.

    Its methods are called on a driver that is not connected, and open their own connections:
    `connect` raises `BrokerRejected` for a missing or outdated schema, and names the command.
    """

    async def pending(self) -> Sequence[str]:
        """Return the names of the migrations that are not applied yet, in order."""
        ...

    async def migrate(self) -> Sequence[str]:
        """Apply pending migrations, one process at a time, and return their names."""
        ...

    def migration_sql(self) -> str:
        """Return all migrations as SQL, for review or for an administrator to run."""
        ...
