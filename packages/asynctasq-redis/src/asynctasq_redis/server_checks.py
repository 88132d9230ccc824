"""The checks of a server by its INFO and configuration, as findings."""

from collections.abc import Mapping, Sequence

from asynctasq.drivers import Finding, Level

OLDEST = (6, 2)
#: The share of its memory that a server may use.
FULL = 0.9

Words = Mapping[str, str]


def findings(info: Words, config: Words) -> Sequence[Finding]:
    """Return all findings."""
    if not info:
        return [Finding("server", "unknown: it does not allow INFO")]
    return [
        version(info),
        role(info),
        eviction(info),
        memory(info),
        persistence(info, config),
        *saving(info),
    ]


def too_old(version: str) -> str:
    """Return the required version; empty if `version` suffices or is unknown."""
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    return "at least 6.2 is needed" if numbers and numbers < OLDEST else ""


def version(info: Words) -> Finding:
    """Check that the driver supports the server's version."""
    name = info.get("server_name", "redis")
    found = info.get(f"{name}_version") or info.get("redis_version", "of unknown version")
    if lack := too_old(info.get("redis_version", "")):
        return Finding("version", f"{name} {found}", Level.PROBLEM, f"{lack}: upgrade it")
    return Finding("version", f"{name} {found}")


def role(info: Words) -> Finding:
    """Check that the server is a master, or belongs to a Cluster."""
    mode, part = info.get("redis_mode", "standalone"), info.get("role", "master")
    value = f"{mode}, {part}"
    if mode == "sentinel":
        advice = "write redis_url as redis+sentinel://host:26379/service"
        return Finding("role", value, Level.PROBLEM, advice)
    if part != "master" and mode != "cluster":
        advice = "connect to its master; redis+sentinel:// finds it by itself"
        return Finding("role", value, Level.PROBLEM, advice)
    return Finding("role", value)


def eviction(info: Words) -> Finding:
    """Check that a full server refuses new messages instead of evicting stored ones."""
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and info.get("maxmemory", "0") != "0":
        advice = "set maxmemory-policy to noeviction: a full server drops messages"
        return Finding("eviction", policy, Level.WARNING, advice)
    return Finding("eviction", policy)


def memory(info: Words) -> Finding:
    """Check that memory is left."""
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    value = (
        f"{used / 1024**2:.1f} MiB used, {f'of {limit / 1024**2:.1f} MiB' if limit else 'no limit'}"
    )
    if limit and used > FULL * limit:
        advice = "raise maxmemory, or run more workers: a full server takes no messages"
        return Finding("memory", value, Level.WARNING, advice)
    return Finding("memory", value)


def persistence(info: Words, config: Words) -> Finding:
    """Check that an append-only file is written to the disk."""
    if info.get("aof_enabled") == "1":
        sync = config.get("appendfsync", "unknown")
        value = f"append-only file, appendfsync {sync}"
        if sync == "no":
            advice = "set appendfsync to everysec: a power cut loses unsynced writes"
            return Finding("persistence", value, Level.WARNING, advice)
        return Finding("persistence", value)
    if config.get("save", "unknown") == "":
        advice = "set appendonly to yes: a restart of the server loses all messages"
        return Finding("persistence", "none", Level.WARNING, advice)
    advice = "set appendonly to yes: a crash loses all changes since the last snapshot"
    return Finding("persistence", "snapshots only", Level.WARNING, advice)


def saving(info: Words) -> list[Finding]:
    """Check that the last write of each file succeeded."""
    states = {
        "append-only file": info.get("aof_last_write_status", "ok"),
        "snapshot": info.get("rdb_last_bgsave_status", "ok"),
    }
    failed = [name for name, state in states.items() if state != "ok"]
    if not failed:
        return []
    advice = "check the server's log and its disk: until it can save, it refuses messages"
    return [Finding("saving", f"{' and '.join(failed)} failed", Level.PROBLEM, advice)]
