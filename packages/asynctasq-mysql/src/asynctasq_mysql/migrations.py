"""The numbered migrations: what they are, which are applied, and applying them."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

import pymysql

from asynctasq.errors import BrokerUnavailable
from asynctasq_mysql.connection import Link
from asynctasq_mysql.errors import error_code
from asynctasq_mysql.names import Tables

#: Seconds to wait for another process that migrates.
LOCK_LIMIT = 60
_NO_SUCH_TABLE = 1146


@dataclass(frozen=True, slots=True)
class Migration:
    """A file of statements, each of which may run again: no transaction takes them back."""

    name: str
    sql: str


def migrations(tables: Tables) -> list[Migration]:
    """All of them, in order."""
    folder = files("asynctasq_mysql") / "migrations"
    found = sorted(
        (one for one in folder.iterdir() if one.name.endswith(".sql")), key=lambda one: one.name
    )
    return [
        Migration(one.name.removesuffix(".sql"), _fill(one.read_text(), tables)) for one in found
    ]


async def pending(link: Link, tables: Tables) -> list[Migration]:
    """Those that are not applied."""
    try:
        (rows,) = await link.run(f"SELECT name FROM {tables.migrations}")
    except pymysql.err.ProgrammingError as error:
        if error_code(error) != _NO_SUCH_TABLE:
            raise
        return migrations(tables)
    applied = {row[0] for row in rows}
    return [one for one in migrations(tables) if one.name not in applied]


async def migrate(link: Link, tables: Tables) -> list[str]:
    """Apply what is pending, one process at a time, and return its names."""
    lock = f"'asynctasq-{hashlib.sha256(tables.queue.encode()).hexdigest()[:32]}'"
    ((locked,),) = (await link.run(f"SELECT GET_LOCK({lock}, {LOCK_LIMIT})", limit=None))[0]
    if not locked:
        raise BrokerUnavailable("another process migrates these tables, and takes long")
    await link.run(_record_table(tables), limit=None)
    names: list[str] = []
    for one in await pending(link, tables):
        await link.run(f"{one.sql};{_record(tables, one)}", limit=None)
        names.append(one.name)
    await link.run(f"SELECT RELEASE_LOCK({lock})")
    return names


def as_script(tables: Tables) -> str:
    """All migrations for somebody to read, or to run by hand; running it again does no harm."""
    parts = [_record_table(tables)]
    for one in migrations(tables):
        parts += [f"-- {one.name}\n{one.sql}", _record(tables, one)]
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
