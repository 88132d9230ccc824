"""The `Migrator` capability: migrations, in files of this package, and the database's record."""

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

#: Seconds that a migration may take, or wait for another process's migration.
MIGRATION_LIMIT = 3600.0

_RECORD_TABLE = """
CREATE TABLE IF NOT EXISTS {migrations} (
    name text PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""
_RECORD = "INSERT INTO {migrations} (name) VALUES ('%s') ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema; its SQL has placeholders for names."""

    name: str
    sql: str


class Migrations:
    """The methods of `Migrator`."""

    settings: Any

    async def pending(self) -> Sequence[str]:
        """Return the migrations that are not applied yet; see `Migrator.pending`."""
        settings = cast(PostgresSettings, self.settings)
        names = settings.names()
        with translate_errors(settings.location()):
            connection = await open_connection(settings)
            try:
                return [step.name for step in await missing(connection, names)]
            finally:
                await connection.close(timeout=5)

    async def migrate(self) -> Sequence[str]:
        """Apply pending migrations; see `Migrator.migrate`."""
        if not await self.pending():
            return []  # without the rights that a migration needs
        settings = cast(PostgresSettings, self.settings)
        with translate_errors(settings.location()):
            connection = await open_connection(settings, statement_limit=MIGRATION_LIMIT)
            try:
                return await _migrate(connection, settings.names())
            finally:
                await connection.close(timeout=5)

    def migration_sql(self) -> str:
        """Return all migrations as SQL; see `Migrator.migration_sql`."""
        names = cast(PostgresSettings, self.settings).names()
        steps = [f"BEGIN;\n\n{_lock(names)};\n{names.fill(_RECORD_TABLE)};\n"]
        steps += [
            f"-- {step.name}\n\n{names.fill(step.sql)}\n{names.fill(_RECORD % step.name)};\n"
            for step in migrations()
        ]
        return "\n".join([*steps, "COMMIT;"])


@cache
def migrations() -> Sequence[Migration]:
    """Return all migrations in order."""
    directory = files("asynctasq_postgres").joinpath("migrations").iterdir()
    return sorted(
        (
            Migration(file.name.removesuffix(".sql"), file.read_text(encoding="utf-8"))
            for file in directory
            if file.name.endswith(".sql")
        ),
        key=lambda step: step.name,
    )


async def missing(connection: Connection, names: Names) -> Sequence[Migration]:
    """Return the migrations that the database lacks."""
    try:
        rows = await connection.fetch(names.fill("SELECT name FROM {migrations}"))
    except FAILURES as error:
        if sqlstate(error) != "42P01":  # no such table
            raise
        return migrations()
    applied = {row[0] for row in rows}
    return [step for step in migrations() if step.name not in applied]


async def check_schema(connection: Connection, names: Names, location: str) -> None:
    """Raise `BrokerRejected`, which names the command, when a migration is missing."""
    lacking = await missing(connection, names)
    if len(lacking) == len(migrations()):
        raise BrokerRejected(
            f"PostgreSQL at {location} has no tables for AsyncTasQ named {names.queue_table};"
            f" {MIGRATE}"
        )
    if lacking:
        raise BrokerRejected(
            f"the tables of AsyncTasQ in PostgreSQL at {location} are outdated, without"
            f" {', '.join(step.name for step in lacking)}; {MIGRATE}"
        )


async def _migrate(connection: Connection, names: Names) -> Sequence[str]:
    async with connection.transaction():
        await connection.execute(_lock(names))
        await connection.execute(names.fill(_RECORD_TABLE))
        lacking = await missing(connection, names)
        for step in lacking:
            await connection.execute(names.fill(step.sql))
            await connection.execute(names.fill(_RECORD % step.name))
    return [step.name for step in lacking]


def _lock(names: Names) -> str:
    """Return SQL that makes migrations of these tables wait for each other's transaction."""
    return f"SELECT pg_advisory_xact_lock({crc32(names.queue_table.encode())})"
