"""Checks for transactions that keep InnoDB from purging old rows, which slows down every poll."""

from asynctasq.drivers import Finding, Level
from asynctasq_mysql.diagnostic_context import DiagnosticContext

#: Seconds that a transaction may stay open.
LONG = 300
#: Transactions in the history list, whose old rows are not purged yet.
LONG_HISTORY = 100_000

_OLDEST = """
    SELECT trx_mysql_thread_id, trx_state, TIMESTAMPDIFF(SECOND, trx_started, NOW())
    FROM information_schema.innodb_trx
    WHERE trx_mysql_thread_id NOT IN (0, CONNECTION_ID()) ORDER BY trx_started LIMIT 1
"""
# MariaDB shows the status to every user; MySQL has the metric, for users with the right PROCESS.
_STATUS = "SHOW GLOBAL STATUS LIKE 'Innodb_history_list_length'"
_METRIC = """
    SELECT name, `count` FROM information_schema.innodb_metrics
    WHERE name = 'trx_rseg_history_len'
"""


async def oldest_transaction(context: DiagnosticContext) -> Finding:
    """Expects no transaction that was left open."""
    name = "oldest transaction"
    rows = await context.rows(_OLDEST)
    if not rows:
        return Finding(name, "none")
    thread, state, seconds = rows[0]
    value = f"{seconds} s: connection {thread}, {state.lower()}"
    if seconds > LONG:
        advice = f"commit earlier; KILL {thread} ends it: it keeps old rows from being purged"
        return Finding(name, value, Level.WARNING, advice)
    return Finding(name, value)


async def history(context: DiagnosticContext) -> Finding:
    """Expects that old rows are purged without a backlog."""
    rows = await context.rows(_STATUS) or await context.rows(_METRIC)
    length = int(rows[0][1])
    value = f"{length} transactions to be purged"
    if length > LONG_HISTORY:
        advice = "end the oldest transaction; if there is none, raise innodb_purge_threads"
        return Finding("history", value, Level.WARNING, advice)
    return Finding("history", value)
