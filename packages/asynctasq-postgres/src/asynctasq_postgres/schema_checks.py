"""Checks of the tables and functions, and of this user's rights on them."""

from collections.abc import Iterator

from asynctasq.drivers import Finding, Level
from asynctasq_postgres.control import PAUSED
from asynctasq_postgres.diagnostic_context import DiagnosticContext
from asynctasq_postgres.errors import FAILURES, MIGRATE, sqlstate, translated
from asynctasq_postgres.names import Names
from asynctasq_postgres.schema import migrations, missing

_ALL = "SELECT, INSERT, UPDATE, DELETE"
_LACKING = """
    SELECT CASE WHEN object.is_table
        THEN format('GRANT %s ON %s TO %I', string_agg(wanted, ', '), object.name, session_user)
        ELSE format('GRANT EXECUTE ON FUNCTION %s TO %I', object.name, session_user) END
    FROM unnest($1::text[], $2::text[], $3::boolean[]) AS object (name, rights, is_table)
    CROSS JOIN regexp_split_to_table(object.rights, ', ') AS wanted
    WHERE CASE WHEN object.is_table
        THEN NOT has_table_privilege(to_regclass(object.name), wanted)
        ELSE NOT has_function_privilege(to_regproc(object.name)::oid, wanted) END
    GROUP BY object.name, object.is_table
    ORDER BY object.is_table DESC, object.name
"""


async def tables(context: DiagnosticContext) -> Finding:
    """Check that the schema is complete and up to date."""
    lacking = [step.name for step in await missing(context.connection, context.names)]
    if len(lacking) == len(migrations()):
        return Finding("tables", f"no {context.names.queue_table}", Level.PROBLEM, MIGRATE)
    if lacking:
        value = f"{context.names.queue_table}, without {', '.join(lacking)}"
        return Finding("tables", value, Level.PROBLEM, MIGRATE)
    return Finding("tables", f"{context.names.queue_table}, up to date")


async def rights(context: DiagnosticContext) -> Finding | None:
    """Check the rights that a worker needs, once the tables exist."""
    names, wanted, is_table = zip(*_needed(context.names), strict=True)
    try:
        ((exists,),) = await context.rows("SELECT to_regclass($1) IS NOT NULL", names[0])
        if not exists:
            return None
        rows = await context.rows(_LACKING, list(names), list(wanted), list(is_table))
    except FAILURES as error:
        if sqlstate(error) != "42501":  # on the schema
            raise
        advice = str(translated(error, context.settings.location()))
        return Finding("rights", "not on the schema", Level.PROBLEM, advice)
    if rows:
        advice = "; ".join(row[0] for row in rows)
        return Finding("rights", f"not on {len(rows)} objects", Level.PROBLEM, advice)
    return Finding("rights", "all that a worker needs")


async def paused(context: DiagnosticContext) -> Finding:
    """Report paused queues: their messages wait until they are resumed."""
    return Finding.of_paused([queue for (queue,) in await context.rows(PAUSED)])


def _needed(names: Names) -> Iterator[tuple[str, str, bool]]:
    """Yield each object with the rights it needs, and whether it is a table."""
    for table in ("{table}", "{dead}", "{workers}"):
        yield names.fill(table), _ALL, True
    yield names.fill("{paused}"), "SELECT, INSERT, DELETE", True
    yield names.fill("{migrations}"), "SELECT", True
    for function in ("{enqueue}", "{tell}", "{claim}", "{done}", "{settle}", "{extend}"):
        yield names.fill(function), "EXECUTE", False
