"""Checks of the tables: migrations, rights, paused queues and storage engine."""

# pyright: reportUnknownMemberType=false
# the client library has no types

import pymysql

from asynctasq.drivers import Finding, Level
from asynctasq_mysql.diagnostic_context import DiagnosticContext
from asynctasq_mysql.errors import DENIED, MIGRATE, error_code
from asynctasq_mysql.literals import text, unnamed
from asynctasq_mysql.migrations import migrations, pending
from asynctasq_mysql.names import parts

_NO_SUCH_TABLE = 1146
#: EXPLAIN requires the same rights as running the statement.
_PROBES = {
    "SELECT": "EXPLAIN SELECT {column} FROM {table} WHERE FALSE",
    "INSERT": "EXPLAIN INSERT INTO {table} ({column}) VALUES ('')",
    "UPDATE": "EXPLAIN UPDATE {table} SET {column} = '' WHERE FALSE",
    "DELETE": "EXPLAIN DELETE FROM {table} WHERE FALSE",
}


async def tables(context: DiagnosticContext) -> Finding:
    """Expects that all migrations of this driver version are applied."""
    lacking = [migration.name for migration in await pending(context.link, context.tables)]
    if len(lacking) == len(migrations(context.tables)):
        return Finding("tables", f"no {context.tables.queue}", Level.PROBLEM, MIGRATE)
    if lacking:
        value = f"{context.tables.queue}, without {', '.join(lacking)}"
        return Finding("tables", value, Level.PROBLEM, MIGRATE)
    return Finding("tables", f"{context.tables.queue}, up to date")


async def rights(context: DiagnosticContext) -> Finding | None:
    """Expects all rights that a worker needs, on each table."""
    if await _is_missing(context, context.tables.queue):
        return None
    needed = {
        (context.tables.queue, "queue"): tuple(_PROBES),
        (context.tables.dead_letters, "queue"): tuple(_PROBES),
        (context.tables.workers, "id"): tuple(_PROBES),
        (context.tables.paused, "queue"): ("SELECT", "INSERT", "DELETE"),
        (context.tables.migrations, "name"): ("SELECT",),
    }
    grants: list[str] = []
    for (table, column), wanted in needed.items():
        lacking = [right for right in wanted if not await _may(context, right, table, column)]
        if lacking:
            grants.append(f"GRANT {', '.join(lacking)} ON {table} TO {await _user(context)}")
    if grants:
        value = f"not all on {len(grants)} tables"
        return Finding("rights", value, Level.PROBLEM, "; ".join(grants))
    return Finding("rights", "all that a worker needs")


async def paused(context: DiagnosticContext) -> Finding:
    """Expects no paused queue: its messages wait until it is resumed."""
    rows = await context.rows(f"SELECT queue FROM {context.tables.paused} ORDER BY queue")
    return Finding.of_paused([unnamed(queue) for (queue,) in rows])


async def engine(context: DiagnosticContext) -> Finding | None:
    """Expects InnoDB: other engines have no transactions and lock whole tables."""
    names = [name for name in context.tables.all() if name != context.tables.migrations]
    there = {name: kind for name in names if (kind := await _engine(context, name))}
    if not there:
        return None
    wrong = [name for name, kind in there.items() if kind != "InnoDB"]
    value = ", ".join(sorted(set(there.values())))
    if wrong:
        advice = "; ".join(f"ALTER TABLE {name} ENGINE = InnoDB" for name in wrong)
        return Finding("engine", value, Level.PROBLEM, advice)
    return Finding("engine", value)


async def _is_missing(context: DiagnosticContext, table: str) -> bool:
    try:
        await context.rows(f"EXPLAIN SELECT 1 FROM {table}")
    except pymysql.Error as error:
        if error_code(error) not in DENIED | {_NO_SUCH_TABLE}:
            raise
        return error_code(error) == _NO_SUCH_TABLE
    return False


async def _may(context: DiagnosticContext, right: str, table: str, column: str) -> bool:
    try:
        await context.rows(_PROBES[right].format(table=table, column=column))
    except pymysql.Error as error:
        if not 1000 <= error_code(error) < 2000:  # raised by the client library
            raise
        return error_code(error) not in DENIED  # any other refusal is for another check
    return True


async def _user(context: DiagnosticContext) -> str:
    ((account,),) = await context.rows("SELECT CURRENT_USER()")
    user, _, host = account.rpartition("@")
    return f"'{user}'@'{host}'"


async def _engine(context: DiagnosticContext, table: str) -> str:
    """Return the engine of a table; "" if the table is missing or not visible to this user."""
    schema, name = parts(table)
    rows = await context.rows(
        "SELECT engine FROM information_schema.tables"
        f" WHERE table_schema = {text(schema)} AND table_name = {text(name)}"
    )
    return rows[0][0] if rows else ""
