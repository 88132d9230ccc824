"""Checks of the server: version, role and settings."""

from asynctasq.drivers import Finding, Level
from asynctasq_mysql.connect_check import product, too_old
from asynctasq_mysql.diagnostic_context import DiagnosticContext
from asynctasq_mysql.enqueue import max_body

#: Bytes of a packet that holds a batch of messages.
SMALL_PACKET = 4 * 1024 * 1024
#: Seconds that a transaction may wait for a lock.
LONG_WAIT = 120
_MEBI = 1024 * 1024


async def version(context: DiagnosticContext) -> Finding:
    """Expects a version that the driver supports."""
    ((text,),) = await context.rows("SELECT VERSION()")
    value = f"{product(text)} {text}"
    if lack := too_old(text):
        return Finding("version", value, Level.PROBLEM, f"{lack}: upgrade it")
    return Finding("version", value)


async def role(context: DiagnosticContext) -> Finding:
    """Expects a server that accepts writes."""
    switches = ("read_only", "super_read_only")
    closed = [name for name in switches if context.variables.get(name, "OFF") not in ("OFF", "0")]
    if closed:
        advice = "connect to the primary: the driver writes, even to deliver"
        return Finding("role", f"{' and '.join(closed)}, a replica maybe", Level.PROBLEM, advice)
    statements = context.variables.get("binlog_format") == "STATEMENT"
    if statements and context.variables.get("log_bin") == "ON":
        advice = "set binlog_format to ROW or MIXED: the server refuses the driver's changes"
        return Finding("role", "logs statements", Level.PROBLEM, advice)
    return Finding("role", "can be written to")


async def isolation(context: DiagnosticContext) -> Finding:
    """Checks the server's default for other connections; the driver sets its own."""
    level = context.variables.get("transaction_isolation") or context.variables.get(
        "tx_isolation", ""
    )
    value = f"READ-COMMITTED for workers, {level} for others"
    if level == "SERIALIZABLE":
        advice = (
            "choose another transaction_isolation: reads of other clients would lock out workers"
        )
        return Finding("isolation", value, Level.WARNING, advice)
    if level == "READ-UNCOMMITTED":
        advice = (
            "choose another transaction_isolation: a task stored in a transaction of yours"
            " could read rows that are never committed"
        )
        return Finding("isolation", value, Level.WARNING, advice)
    return Finding("isolation", value)


async def durability(context: DiagnosticContext) -> Finding:
    """Expects that a committed transaction survives a power cut."""
    wanted = {"innodb_flush_log_at_trx_commit": "1"}
    if context.variables.get("log_bin") == "ON":
        wanted["sync_binlog"] = "1"
    found = {name: context.variables.get(name, "") for name in wanted}
    value = ", ".join(f"{name} {setting}" for name, setting in found.items())
    loose = [name for name in wanted if found[name] != wanted[name]]
    if loose:
        advice = f"a crash may lose the last commits: set {' and '.join(loose)} to 1"
        return Finding("durability", value, Level.WARNING, advice)
    return Finding("durability", value)


async def packet(context: DiagnosticContext) -> Finding:
    """Expects packets with room for bodies and batches."""
    length = int(context.variables["max_allowed_packet"])
    value = f"{length / _MEBI:.1f} MiB, for bodies up to {max_body(length) / _MEBI:.1f} MiB"
    if length < SMALL_PACKET:
        advice = "set max_allowed_packet to 16M or more: batches are split into small statements"
        return Finding("largest packet", value, Level.WARNING, advice)
    return Finding("largest packet", value)


async def lock_wait(context: DiagnosticContext) -> Finding:
    """Checks the server's default for other connections; the driver sets its own."""
    ((own,),) = await context.rows("SELECT @@SESSION.innodb_lock_wait_timeout")
    others = int(context.variables["innodb_lock_wait_timeout"])
    value = f"{own} s for workers, {others} s for others"
    if others > LONG_WAIT:
        advice = "lower innodb_lock_wait_timeout: a transaction of yours waits that long for a lock"
        return Finding("lock wait", value, Level.WARNING, advice)
    return Finding("lock wait", value)
