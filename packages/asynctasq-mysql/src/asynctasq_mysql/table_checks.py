"""The tables, and whether this user may use them."""

# pyright: reportUnknownMemberType=false
# the client library has no types

import pymysql

from asynctasq.drivers import Finding, Level
from asynctasq_mysql.diagnostic_context import Look
from asynctasq_mysql.errors import DENIED, MIGRATE, error_code
from asynctasq_mysql.literals import text, unnamed
from asynctasq_mysql.migrations import migrations, pending
from asynctasq_mysql.names import parts

_NO_SUCH_TABLE = 1146
#: To explain a statement takes the same rights as to run it.
_PROBES = {
    "SELECT": "EXPLAIN SELECT {column} FROM {table} WHERE FALSE",
    "INSERT": "EXPLAIN INSERT INTO {table} ({column}) VALUES ('')",
    "UPDATE": "EXPLAIN UPDATE {table} SET {column} = '' WHERE FALSE",
    "DELETE": "EXPLAIN DELETE FROM {table} WHERE FALSE",
}


async def tables(look: Look) -> Finding:
    """All of them, as this version of the driver needs them."""
    lacking = [one.name for one in await pending(look.link, look.tables)]
    if len(lacking) == len(migrations(look.tables)):
        return Finding("tables", f"no {look.tables.queue}", Level.PROBLEM, MIGRATE)
    if lacking:
        value = f"{look.tables.queue}, without {', '.join(lacking)}"
        return Finding("tables", value, Level.PROBLEM, MIGRATE)
    return Finding("tables", f"{look.tables.queue}, up to date")


async def rights(look: Look) -> Finding | None:
    """All that a worker needs, on each table."""
    if await _is_missing(look, look.tables.queue):
        return None
    needed = {
        (look.tables.queue, "queue"): tuple(_PROBES),
        (look.tables.dead_letters, "queue"): tuple(_PROBES),
        (look.tables.workers, "id"): tuple(_PROBES),
        (look.tables.paused, "queue"): ("SELECT", "INSERT", "DELETE"),
        (look.tables.migrations, "name"): ("SELECT",),
    }
    grants: list[str] = []
    for (table, column), wanted in needed.items():
        lacking = [one for one in wanted if not await _may(look, one, table, column)]
        if lacking:
            grants.append(f"GRANT {', '.join(lacking)} ON {table} TO {await _user(look)}")
    if grants:
        value = f"not all on {len(grants)} tables"
        return Finding("rights", value, Level.PROBLEM, "; ".join(grants))
    return Finding("rights", "all that a worker needs")


async def paused(look: Look) -> Finding:
    """None: what waits in them waits for somebody to resume them."""
    rows = await look.rows(f"SELECT queue FROM {look.tables.paused} ORDER BY queue")
    return Finding.of_paused([unnamed(queue) for (queue,) in rows])


async def engine(look: Look) -> Finding | None:
    """InnoDB: others have no transactions, and lock whole tables."""
    names = [one for one in look.tables.all() if one != look.tables.migrations]
    there = {name: kind for name in names if (kind := await _engine(look, name))}
    if not there:
        return None
    wrong = [name for name, kind in there.items() if kind != "InnoDB"]
    value = ", ".join(sorted(set(there.values())))
    if wrong:
        advice = "; ".join(f"ALTER TABLE {name} ENGINE = InnoDB" for name in wrong)
        return Finding("engine", value, Level.PROBLEM, advice)
    return Finding("engine", value)


async def _is_missing(look: Look, table: str) -> bool:
    try:
        await look.rows(f"EXPLAIN SELECT 1 FROM {table}")
    except pymysql.Error as error:
        if error_code(error) not in DENIED | {_NO_SUCH_TABLE}:
            raise
        return error_code(error) == _NO_SUCH_TABLE
    return False


async def _may(look: Look, right: str, table: str, column: str) -> bool:
    try:
        await look.rows(_PROBES[right].format(table=table, column=column))
    except pymysql.Error as error:
        if not 1000 <= error_code(error) < 2000:  # not the server's
            raise
        return error_code(error) not in DENIED  # what else it refuses is another finding
    return True


async def _user(look: Look) -> str:
    ((account,),) = await look.rows("SELECT CURRENT_USER()")
    user, _, host = account.rpartition("@")
    return f"'{user}'@'{host}'"


async def _engine(look: Look, table: str) -> str:
    """The engine of a table; nothing where there is no table, or no right to see it."""
    schema, name = parts(table)
    rows = await look.rows(
        "SELECT engine FROM information_schema.tables"
        f" WHERE table_schema = {text(schema)} AND table_name = {text(name)}"
    )
    return rows[0][0] if rows else ""
