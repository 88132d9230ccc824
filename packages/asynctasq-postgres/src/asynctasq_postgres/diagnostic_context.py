"""What every check of `Diagnostics` is given, and how it says what it found."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from asynctasq.drivers import Finding
from asynctasq_postgres.names import Names
from asynctasq_postgres.pool import Connection, Row
from asynctasq_postgres.settings import PostgresSettings


@dataclass(frozen=True, slots=True)
class Look:
    """A connection to look through, and a function that opens another one."""

    connection: Connection
    settings: PostgresSettings
    connect: Callable[[], Awaitable[Connection]]

    @property
    def names(self) -> Names:
        """The names of tables and functions."""
        return self.settings.names()

    async def rows(self, sql: str, *arguments: object) -> Sequence[Row]:
        """The rows of a statement with ``{table}`` and the like in it."""
        return await self.connection.fetch(self.names.fill(sql), *arguments)

    async def setting(self, name: str) -> str:
        """The server's setting, as it holds for this user."""
        ((value,),) = await self.rows("SELECT current_setting($1)", name)
        return value


#: Looks at one thing; nothing where there is nothing to look at.
Check = Callable[[Look], Awaitable[Finding | None]]


def duration(seconds: float) -> str:
    """A length of time for people."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"
