"""The tables and functions, and whether this user may use them."""

from collections.abc import Iterator

from asynctasq.drivers import Finding, Level
from asynctasq_postgres.control import PAUSED
from asynctasq_postgres.diagnostic_context import Look
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


async def tables(look: Look) -> Finding:
    """All of them, as this version of the driver needs them."""
    lacking = [one.name for one in await missing(look.connection, look.names)]
    if len(lacking) == len(migrations()):
        return Finding("tables", f"no {look.names.queue_table}", Level.PROBLEM, MIGRATE)
    if lacking:
        value = f"{look.names.queue_table}, without {', '.join(lacking)}"
        return Finding("tables", value, Level.PROBLEM, MIGRATE)
    return Finding("tables", f"{look.names.queue_table}, up to date")


async def rights(look: Look) -> Finding | None:
    """All that a worker needs, on what there is."""
    names, wanted, is_table = zip(*_needed(look.names), strict=True)
    try:
        ((is_there,),) = await look.rows("SELECT to_regclass($1) IS NOT NULL", names[0])
        if not is_there:
            return None
        rows = await look.rows(_LACKING, list(names), list(wanted), list(is_table))
    except FAILURES as error:
        if sqlstate(error) != "42501":  # on the schema
            raise
        advice = str(translated(error, look.settings.location()))
        return Finding("rights", "not on the schema", Level.PROBLEM, advice)
    if rows:
        advice = "; ".join(row[0] for row in rows)
        return Finding("rights", f"not on {len(rows)} objects", Level.PROBLEM, advice)
    return Finding("rights", "all that a worker needs")


async def paused(look: Look) -> Finding:
    """None: what waits in them waits for somebody to resume them."""
    return Finding.of_paused([queue for (queue,) in await look.rows(PAUSED)])


def _needed(names: Names) -> Iterator[tuple[str, str, bool]]:
    """What there is, with the rights, and whether it is a table."""
    for table in ("{table}", "{dead}", "{workers}"):
        yield names.fill(table), _ALL, True
    yield names.fill("{paused}"), "SELECT, INSERT, DELETE", True
    yield names.fill("{migrations}"), "SELECT", True
    for function in ("{enqueue}", "{tell}", "{claim}", "{done}", "{settle}", "{extend}"):
        yield names.fill(function), "EXECUTE", False
