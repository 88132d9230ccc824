"""The context of every check of `Diagnostics`."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from asynctasq.drivers import Finding
from asynctasq_postgres.names import Names
from asynctasq_postgres.pool import Connection, Row
from asynctasq_postgres.settings import PostgresSettings


@dataclass(frozen=True, slots=True)
class DiagnosticContext:
    """A connection for the checks, and a function that opens another one."""

    connection: Connection
    settings: PostgresSettings
    connect: Callable[[], Awaitable[Connection]]

    @property
    def names(self) -> Names:
        """The names of tables and functions."""
        return self.settings.names()

    async def rows(self, sql: str, *arguments: object) -> Sequence[Row]:
        """Run a statement with placeholders such as ``{table}``; return its rows."""
        return await self.connection.fetch(self.names.fill(sql), *arguments)

    async def setting(self, name: str) -> str:
        """Return a server setting, as it applies to this user."""
        ((value,),) = await self.rows("SELECT current_setting($1)", name)
        return value


#: Returns a finding, or None where the check does not apply.
Check = Callable[[DiagnosticContext], Awaitable[Finding | None]]


def duration(seconds: float) -> str:
    """Format a duration for display."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"
