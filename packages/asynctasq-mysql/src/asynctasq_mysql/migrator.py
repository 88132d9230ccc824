"""The `Migrator` capability: creates and upgrades the tables."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from asynctasq_mysql import migrations
from asynctasq_mysql.connect_check import check_version
from asynctasq_mysql.connection import Link
from asynctasq_mysql.errors import translate_errors
from asynctasq_mysql.settings import MySQLSettings


class MySQLMigrator:
    """The methods of `Migrator`, each on a connection of its own."""

    @property
    def mysql(self) -> MySQLSettings:
        """The driver's settings."""
        raise NotImplementedError

    async def pending(self) -> Sequence[str]:
        """Return the names of migrations not applied yet; see `Migrator.pending`."""
        async with self._link() as link:
            return [
                migration.name for migration in await migrations.pending(link, self.mysql.tables())
            ]

    async def migrate(self) -> Sequence[str]:
        """Apply pending migrations; see `Migrator.migrate`."""
        async with self._link() as link:
            return await migrations.migrate(link, self.mysql.tables())

    def migration_sql(self) -> str:
        """Return all migrations as SQL; see `Migrator.migration_sql`."""
        return migrations.as_script(self.mysql.tables())

    @asynccontextmanager
    async def _link(self) -> AsyncGenerator[Link]:
        location = self.mysql.location()
        link = Link(self.mysql.target())
        with translate_errors(location):
            await link.open()
            try:
                await check_version(link, location)
                yield link
            finally:
                await link.close()
