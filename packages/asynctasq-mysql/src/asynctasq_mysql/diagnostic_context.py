"""What every check of `Diagnostics` is given."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from asynctasq.drivers import Finding
from asynctasq_mysql.connection import Link, Row
from asynctasq_mysql.names import Tables
from asynctasq_mysql.settings import MySQLSettings


@dataclass(frozen=True, slots=True)
class Look:
    """A connection to look through, the server's settings, and the names of the tables."""

    link: Link
    variables: Mapping[str, str]
    tables: Tables
    location: str

    async def rows(self, sql: str) -> Sequence[Row]:
        """The rows of a statement."""
        return (await self.link.run(sql))[0]


#: Looks at one thing; nothing where there is nothing to look at.
Check = Callable[[Look], Awaitable[Finding | None]]


async def look_through(link: Link, settings: MySQLSettings) -> Look:
    """A look at the server that `link` is open to."""
    (rows,) = await link.run("SHOW GLOBAL VARIABLES")
    variables = {name.lower(): value for name, value in rows}
    return Look(link, variables, settings.tables(), settings.location())
