"""Checks that VACUUM clears the queue's table: each message leaves two or three dead rows."""

from asynctasq.drivers import Finding, Level
from asynctasq_postgres.diagnostic_context import DiagnosticContext, duration

#: Dead rows; more are a warning unless VACUUM ran lately, ten times as many always are.
MANY_DEAD = 100_000
#: Seconds without VACUUM that are a warning: autovacuum checks tables once a minute.
LONG_AGO = 300.0
#: Largest share of dead rows at which autovacuum should start.
LARGE_SHARE = 0.1

_OPTIONS = """
    SELECT coalesce(option_value, current_setting('autovacuum_vacuum_scale_factor'))::float8,
           coalesce((SELECT option_value::boolean FROM pg_options_to_table(reloptions)
                     WHERE option_name = 'autovacuum_enabled'), true),
           current_setting('autovacuum')::boolean
    FROM pg_class LEFT JOIN LATERAL (
        SELECT option_value FROM pg_options_to_table(reloptions)
        WHERE option_name = 'autovacuum_vacuum_scale_factor'
    ) AS own ON true
    WHERE pg_class.oid = to_regclass($1)
"""
_ROWS = """
    SELECT n_dead_tup, n_live_tup, pg_total_relation_size(relid),
           extract(epoch FROM clock_timestamp() - greatest(last_vacuum, last_autovacuum))::float8
    FROM pg_stat_user_tables WHERE relid = to_regclass($1)
"""


async def autovacuum(context: DiagnosticContext) -> Finding | None:
    """Check that autovacuum is on for the server and this table, and starts early."""
    rows = await context.rows(_OPTIONS, context.names.fill("{table}"))
    if not rows:
        return None
    ((share, here, everywhere),) = rows
    if not everywhere:
        advice = "set autovacuum to on, in the server's configuration"
        return Finding("autovacuum", "off on this server", Level.WARNING, advice)
    alter = context.names.fill("ALTER TABLE {table}")
    if not here:
        advice = f"{alter} RESET (autovacuum_enabled)"
        return Finding("autovacuum", "off for the queue's table", Level.WARNING, advice)
    value = f"on, at {share:.0%} dead rows"
    if share > LARGE_SHARE:
        advice = f"{alter} SET (autovacuum_vacuum_scale_factor = 0.01)"
        return Finding("autovacuum", value, Level.WARNING, advice)
    return Finding("autovacuum", value)


async def dead_rows(context: DiagnosticContext) -> Finding | None:
    """Check that dead rows do not accumulate."""
    rows = await context.rows(_ROWS, context.names.fill("{table}"))
    if not rows:
        return None
    ((dead, live, size, ago),) = rows
    vacuumed = "never vacuumed" if ago is None else f"vacuumed {duration(ago)} ago"
    value = f"{dead} dead, {live} live, {size / 1024**2:.1f} MiB, {vacuumed}"
    many = max(MANY_DEAD, live)
    late = ago is None or ago > LONG_AGO
    if dead > 10 * many or (dead > many and late):
        advice = context.names.fill(
            "VACUUM {table}; if that does not help, end what keeps the rows (see the oldest"
            " snapshot)"
        )
        return Finding("dead rows", value, Level.WARNING, advice)
    return Finding("dead rows", value)
