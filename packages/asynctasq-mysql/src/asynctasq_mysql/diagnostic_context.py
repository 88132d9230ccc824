"""The input of every check of `Diagnostics`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from asynctasq.drivers import Finding
from asynctasq_mysql.connection import Link, Row
from asynctasq_mysql.names import Tables
from asynctasq_mysql.settings import MySQLSettings


@dataclass(frozen=True, slots=True)
class DiagnosticContext:
    """A connection, the server's settings, and the names of the tables."""

    link: Link
    variables: Mapping[str, str]
    tables: Tables
    location: str

    async def rows(self, sql: str) -> Sequence[Row]:
        """Run a statement and return its rows."""
        return (await self.link.run(sql))[0]


#: Checks one subject; None where it does not apply.
Check = Callable[[DiagnosticContext], Awaitable[Finding | None]]


async def diagnostic_context(link: Link, settings: MySQLSettings) -> DiagnosticContext:
    """Read the server's settings over `link`."""
    (rows,) = await link.run("SHOW GLOBAL VARIABLES")
    variables = {name.lower(): value for name, value in rows}
    return DiagnosticContext(link, variables, settings.tables(), settings.location())
