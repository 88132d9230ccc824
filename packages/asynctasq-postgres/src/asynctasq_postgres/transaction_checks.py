"""Checks of transactions and replication slots that keep VACUUM from removing dead rows."""

from asynctasq.drivers import Finding, Level
from asynctasq_postgres.diagnostic_context import DiagnosticContext, duration
from asynctasq_postgres.pool import Row

#: Seconds after which a transaction is a warning.
LONG = 300.0
#: Transactions begun since a snapshot after which it is a warning, where its age is hidden.
MANY_SINCE = 100_000

# The start of other users' transactions is visible only with the role pg_read_all_stats.
_OTHERS = "pid <> pg_backend_pid() AND coalesce(backend_type, '') <> 'autovacuum worker'"
_WHO = "pid, coalesce(nullif(application_name, ''), 'unnamed'), coalesce(state, 'hidden')"
_SECONDS = "extract(epoch FROM clock_timestamp() - xact_start)::float8"
_OLDEST = f"""
    SELECT {_WHO}, {_SECONDS} FROM pg_stat_activity
    WHERE {_OTHERS} AND xact_start IS NOT NULL ORDER BY xact_start LIMIT 1
"""
_HIDDEN = f"""
    SELECT count(*) FROM pg_stat_activity
    WHERE {_OTHERS} AND query = '<insufficient privilege>'
"""
_HOLDER = f"""
    SELECT {_WHO}, {_SECONDS}, greatest(age(backend_xmin), age(backend_xid)) AS since
    FROM pg_stat_activity
    WHERE {_OTHERS} AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
    ORDER BY since DESC LIMIT 1
"""
_PREPARED = """
    SELECT gid, extract(epoch FROM clock_timestamp() - prepared)::float8
    FROM pg_prepared_xacts ORDER BY prepared LIMIT 1
"""
_SLOT = """
    SELECT slot_name::text, active, age(xmin) FROM pg_replication_slots
    WHERE xmin IS NOT NULL ORDER BY age(xmin) DESC LIMIT 1
"""
_END = "; SELECT pg_terminate_backend({}) ends it, idle_in_transaction_session_timeout the next"


async def oldest_transaction(context: DiagnosticContext) -> Finding:
    """Check for a transaction that was left open."""
    name = "oldest transaction"
    rows = await context.rows(_OLDEST)
    ((hidden,),) = await context.rows(_HIDDEN)
    unseen = f"; {hidden} sessions hidden without the role pg_read_all_stats" if hidden else ""
    if not rows:
        return Finding(name, f"none{unseen}")
    pid, who, state, seconds = rows[0]
    value = f"{duration(seconds)}: {who}, process {pid}, {state}{unseen}"
    if seconds > LONG:
        return Finding(name, value, Level.WARNING, f"commit earlier{_END.format(pid)}")
    return Finding(name, value)


async def horizon(context: DiagnosticContext) -> Finding:
    """Check for an old snapshot, which keeps dead rows."""
    name = "oldest snapshot"
    rows = await context.rows(_HOLDER)
    if not rows:
        return Finding(name, "none")
    pid, who, state, seconds, since = rows[0]
    value = f"{since} transactions back: {who}, process {pid}, {state}"
    old = since > MANY_SINCE if seconds is None else seconds > LONG
    if old:
        advice = f"it keeps dead rows from being cleared{_END.format(pid)}"
        return Finding(name, value, Level.WARNING, advice)
    return Finding(name, value)


async def prepared_transactions(context: DiagnosticContext) -> Finding:
    """Check for a prepared transaction that was never finished."""
    name = "prepared transactions"
    rows = await context.rows(_PREPARED)
    if not rows:
        return Finding(name, "none")
    identifier, seconds = rows[0]
    value = f"{identifier}, for {duration(seconds)}"
    if seconds > LONG:
        advice = "COMMIT PREPARED or ROLLBACK PREPARED: it keeps dead rows from being cleared"
        return Finding(name, value, Level.WARNING, advice)
    return Finding(name, value)


async def replication_slots(context: DiagnosticContext) -> Finding:
    """Check for a slot that keeps rows for a standby that no longer exists."""
    rows = await context.rows(_SLOT)
    return slot_finding(rows[0]) if rows else Finding("replication slots", "none keeps rows")


def slot_finding(row: Row) -> Finding:
    """Return the finding about the slot that keeps rows longest."""
    slot, active, since = row
    value = f"{slot}, {'active' if active else 'inactive'}, {since} transactions back"
    if not active or since > MANY_SINCE:
        advice = (
            f"SELECT pg_drop_replication_slot('{slot}') if its standby is gone; else look at the"
            " queries there, or turn hot_standby_feedback off"
        )
        return Finding("replication slots", value, Level.WARNING, advice)
    return Finding("replication slots", value)
