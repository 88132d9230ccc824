"""Who keeps rows that are gone from being cleaned up, which makes every look slower."""

from asynctasq.drivers import Finding, Level
from asynctasq_mysql.diagnostic_context import Look

#: Seconds that a transaction may take.
LONG = 300
#: Transactions whose old rows may wait for being cleaned up.
LONG_HISTORY = 100_000

_OLDEST = """
    SELECT trx_mysql_thread_id, trx_state, TIMESTAMPDIFF(SECOND, trx_started, NOW())
    FROM information_schema.innodb_trx
    WHERE trx_mysql_thread_id NOT IN (0, CONNECTION_ID()) ORDER BY trx_started LIMIT 1
"""
# MariaDB shows the status to everybody, MySQL has the metric, for those with the right PROCESS.
_STATUS = "SHOW GLOBAL STATUS LIKE 'Innodb_history_list_length'"
_METRIC = """
    SELECT name, `count` FROM information_schema.innodb_metrics
    WHERE name = 'trx_rseg_history_len'
"""


async def oldest_transaction(look: Look) -> Finding:
    """None that somebody forgot."""
    name = "oldest transaction"
    rows = await look.rows(_OLDEST)
    if not rows:
        return Finding(name, "none")
    thread, state, seconds = rows[0]
    value = f"{seconds} s: connection {thread}, {state.lower()}"
    if seconds > LONG:
        advice = f"commit earlier; KILL {thread} ends it: it keeps old rows from being cleaned up"
        return Finding(name, value, Level.WARNING, advice)
    return Finding(name, value)


async def history(look: Look) -> Finding:
    """Old rows are cleaned up as they come."""
    rows = await look.rows(_STATUS) or await look.rows(_METRIC)
    length = int(rows[0][1])
    value = f"{length} transactions to be cleaned up"
    if length > LONG_HISTORY:
        advice = "end the oldest transaction; if there is none, raise innodb_purge_threads"
        return Finding("history", value, Level.WARNING, advice)
    return Finding("history", value)
