"""What the server is, and how it is set up."""

from asynctasq.drivers import Finding, Level
from asynctasq_mysql.connect_check import product, too_old
from asynctasq_mysql.diagnostic_context import Look
from asynctasq_mysql.enqueue import max_body

#: Bytes of a packet in which a batch of messages has room.
SMALL_PACKET = 4 * 1024 * 1024
#: Seconds after which somebody should no longer wait for a lock.
LONG_WAIT = 120
_MEBI = 1024 * 1024


async def version(look: Look) -> Finding:
    """One that the driver knows."""
    ((text,),) = await look.rows("SELECT VERSION()")
    value = f"{product(text)} {text}"
    if lack := too_old(text):
        return Finding("version", value, Level.PROBLEM, f"{lack}: upgrade it")
    return Finding("version", value)


async def role(look: Look) -> Finding:
    """A server that can be written to."""
    switches = ("read_only", "super_read_only")
    closed = [one for one in switches if look.variables.get(one, "OFF") not in ("OFF", "0")]
    if closed:
        advice = "connect to the primary: the driver writes, even to deliver"
        return Finding("role", f"{' and '.join(closed)}, a replica maybe", Level.PROBLEM, advice)
    statements = look.variables.get("binlog_format") == "STATEMENT"
    if statements and look.variables.get("log_bin") == "ON":
        advice = "set binlog_format to ROW or MIXED: the server refuses the driver's changes"
        return Finding("role", "logs statements", Level.PROBLEM, advice)
    return Finding("role", "can be written to")


async def isolation(look: Look) -> Finding:
    """Ours is set by each connection; your transactions have the server's."""
    known = look.variables.get("transaction_isolation") or look.variables.get("tx_isolation", "")
    value = f"READ-COMMITTED for workers, {known} for others"
    if known == "SERIALIZABLE":
        advice = "take another transaction_isolation: what others read here would keep workers off"
        return Finding("isolation", value, Level.WARNING, advice)
    if known == "READ-UNCOMMITTED":
        advice = (
            "take another transaction_isolation: a task that is stored in a transaction of yours"
            " could meet what is never committed"
        )
        return Finding("isolation", value, Level.WARNING, advice)
    return Finding("isolation", value)


async def durability(look: Look) -> Finding:
    """What a power cut may take."""
    wanted = {"innodb_flush_log_at_trx_commit": "1"}
    if look.variables.get("log_bin") == "ON":
        wanted["sync_binlog"] = "1"
    found = {name: look.variables.get(name, "") for name in wanted}
    value = ", ".join(f"{name} {setting}" for name, setting in found.items())
    loose = [name for name in wanted if found[name] != wanted[name]]
    if loose:
        advice = f"a crash may lose the last commits: set {' and '.join(loose)} to 1"
        return Finding("durability", value, Level.WARNING, advice)
    return Finding("durability", value)


async def packet(look: Look) -> Finding:
    """Room for bodies, and for batches."""
    length = int(look.variables["max_allowed_packet"])
    value = f"{length / _MEBI:.1f} MiB, for bodies up to {max_body(length) / _MEBI:.1f} MiB"
    if length < SMALL_PACKET:
        advice = "set max_allowed_packet to 16M or more: batches are cut into small statements"
        return Finding("largest packet", value, Level.WARNING, advice)
    return Finding("largest packet", value)


async def lock_wait(look: Look) -> Finding:
    """Ours is set by each connection; your transactions have the server's."""
    ((own,),) = await look.rows("SELECT @@SESSION.innodb_lock_wait_timeout")
    others = int(look.variables["innodb_lock_wait_timeout"])
    value = f"{own} s for workers, {others} s for others"
    if others > LONG_WAIT:
        advice = "lower innodb_lock_wait_timeout: a transaction of yours waits that long for a lock"
        return Finding("lock wait", value, Level.WARNING, advice)
    return Finding("lock wait", value)
