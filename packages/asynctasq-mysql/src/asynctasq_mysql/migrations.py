"""Reads, compares and applies the numbered migrations."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

import pymysql

from asynctasq.errors import BrokerUnavailable
from asynctasq_mysql.connection import Link
from asynctasq_mysql.errors import error_code
from asynctasq_mysql.names import Tables

#: Seconds to wait for another process that is migrating.
LOCK_LIMIT = 60
_NO_SUCH_TABLE = 1146


@dataclass(frozen=True, slots=True)
class Migration:
    """A file of statements that may all run again: DDL is not rolled back by a transaction."""

    name: str
    sql: str


def migrations(tables: Tables) -> list[Migration]:
    """Return all migrations, in order."""
    folder = files("asynctasq_mysql") / "migrations"
    found = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")),
        key=lambda file: file.name,
    )
    return [
        Migration(file.name.removesuffix(".sql"), _fill(file.read_text(), tables)) for file in found
    ]


async def pending(link: Link, tables: Tables) -> list[Migration]:
    """Return the migrations that are not applied yet."""
    try:
        (rows,) = await link.run(f"SELECT name FROM {tables.migrations}")
    except pymysql.Error as error:
        if error_code(error) != _NO_SUCH_TABLE:
            raise
        return migrations(tables)
    applied = {row[0] for row in rows}
    return [migration for migration in migrations(tables) if migration.name not in applied]


async def migrate(link: Link, tables: Tables) -> list[str]:
    """Apply pending migrations, one process at a time, and return their names."""
    lock = f"'asynctasq-{hashlib.sha256(tables.queue.encode()).hexdigest()[:32]}'"
    ((locked,),) = (await link.run(f"SELECT GET_LOCK({lock}, {LOCK_LIMIT})", limit=None))[0]
    if not locked:
        raise BrokerUnavailable("another process is still migrating these tables; try again later")
    await link.run(_record_table(tables), limit=None)
    names: list[str] = []
    for migration in await pending(link, tables):
        await link.run(f"{migration.sql};{_record(tables, migration)}", limit=None)
        names.append(migration.name)
    await link.run(f"SELECT RELEASE_LOCK({lock})")
    return names


def as_script(tables: Tables) -> str:
    """Return all migrations as one script to read or to run by hand; it may run again."""
    parts = [_record_table(tables)]
    for migration in migrations(tables):
        parts += [f"-- {migration.name}\n{migration.sql}", _record(tables, migration)]
    return ";\n\n".join(parts) + ";"


def _fill(sql: str, tables: Tables) -> str:
    names = {
        "{queue_table}": tables.queue,
        "{dead_letter_table}": tables.dead_letters,
        "{workers_table}": tables.workers,
        "{paused_table}": tables.paused,
    }
    for placeholder, name in names.items():
        sql = sql.replace(placeholder, name)
    return sql.rstrip("; \n")


def _record_table(tables: Tables) -> str:
    return (
        f"CREATE TABLE IF NOT EXISTS {tables.migrations} (\n"
        "    name VARCHAR(64) CHARACTER SET ascii NOT NULL,\n"
        "    applied_at DATETIME(6) NOT NULL,\n"
        "    PRIMARY KEY (name)\n"
        ") ENGINE = InnoDB"
    )


def _record(tables: Tables, migration: Migration) -> str:
    return (
        f"INSERT INTO {tables.migrations} (name, applied_at)"
        f" VALUES ('{migration.name}', UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE name = name"
    )
