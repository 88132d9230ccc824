"""The migrations, in files of this package, and which of them a database has."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, cast
from zlib import crc32

from asynctasq.errors import BrokerRejected
from asynctasq_postgres.errors import FAILURES, MIGRATE, sqlstate, translate_errors
from asynctasq_postgres.names import Names
from asynctasq_postgres.pool import Connection, open_connection
from asynctasq_postgres.settings import PostgresSettings

#: Seconds one migration may take, or wait for another process to migrate.
MIGRATION_LIMIT = 3600.0

_RECORD_TABLE = """
CREATE TABLE IF NOT EXISTS {migrations} (
    name text PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""
_RECORD = "INSERT INTO {migrations} (name) VALUES ('%s') ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema, with names yet to be filled in."""

    name: str
    sql: str


class Migrations:
    """The methods of `Migrator`."""

    settings: Any

    async def pending(self) -> Sequence[str]:
        """Migrations that are not applied yet; see `Migrator.pending`."""
        settings = cast(PostgresSettings, self.settings)
        names = settings.names()
        with translate_errors(settings.location()):
            connection = await open_connection(settings)
            try:
                return [one.name for one in await missing(connection, names)]
            finally:
                await connection.close(timeout=5)

    async def migrate(self) -> Sequence[str]:
        """Apply what is pending; see `Migrator.migrate`."""
        if not await self.pending():
            return []  # which takes fewer rights
        settings = cast(PostgresSettings, self.settings)
        with translate_errors(settings.location()):
            connection = await open_connection(settings, statement_limit=MIGRATION_LIMIT)
            try:
                return await _migrate(connection, settings.names())
            finally:
                await connection.close(timeout=5)

    def migration_sql(self) -> str:
        """All migrations as SQL; see `Migrator.migration_sql`."""
        names = cast(PostgresSettings, self.settings).names()
        steps = [f"BEGIN;\n\n{_lock(names)};\n{names.fill(_RECORD_TABLE)};\n"]
        steps += [
            f"-- {one.name}\n\n{names.fill(one.sql)}\n{names.fill(_RECORD % one.name)};\n"
            for one in migrations()
        ]
        return "\n".join([*steps, "COMMIT;"])


@cache
def migrations() -> Sequence[Migration]:
    """All migrations in order."""
    found = files("asynctasq_postgres").joinpath("migrations").iterdir()
    return sorted(
        (
            Migration(one.name.removesuffix(".sql"), one.read_text(encoding="utf-8"))
            for one in found
            if one.name.endswith(".sql")
        ),
        key=lambda one: one.name,
    )


async def missing(connection: Connection, names: Names) -> Sequence[Migration]:
    """The migrations that the database does not have."""
    try:
        rows = await connection.fetch(names.fill("SELECT name FROM {migrations}"))
    except FAILURES as error:
        if sqlstate(error) != "42P01":  # no such table
            raise
        return migrations()
    applied = {row[0] for row in rows}
    return [one for one in migrations() if one.name not in applied]


async def check_schema(connection: Connection, names: Names, location: str) -> None:
    """Raise `BrokerRejected`, which says what to do, when a migration is missing."""
    lacking = await missing(connection, names)
    if len(lacking) == len(migrations()):
        raise BrokerRejected(
            f"PostgreSQL at {location} has no tables for AsyncTasQ named {names.queue_table};"
            f" {MIGRATE}"
        )
    if lacking:
        raise BrokerRejected(
            f"the tables of AsyncTasQ in PostgreSQL at {location} are old, without"
            f" {', '.join(one.name for one in lacking)}; {MIGRATE}"
        )


async def _migrate(connection: Connection, names: Names) -> Sequence[str]:
    async with connection.transaction():
        await connection.execute(_lock(names))
        await connection.execute(names.fill(_RECORD_TABLE))
        lacking = await missing(connection, names)
        for one in lacking:
            await connection.execute(names.fill(one.sql))
            await connection.execute(names.fill(_RECORD % one.name))
    return [one.name for one in lacking]


def _lock(names: Names) -> str:
    """One process at a time migrates these tables; the lock ends with the transaction."""
    return f"SELECT pg_advisory_xact_lock({crc32(names.queue_table.encode())})"
