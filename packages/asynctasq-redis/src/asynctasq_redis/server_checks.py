"""What is to be said of a server, by its INFO and its configuration."""

from collections.abc import Mapping, Sequence

from asynctasq.drivers import Finding, Level

OLDEST = (6, 2)
#: The share of its memory that a server may use.
FULL = 0.9

Words = Mapping[str, str]


def findings(info: Words, config: Words) -> Sequence[Finding]:
    """All that is to be said."""
    if not info:
        return [Finding("server", "not known: it does not allow INFO")]
    return [
        version(info),
        role(info),
        eviction(info),
        memory(info),
        persistence(info, config),
        *saving(info),
    ]


def too_old(version: str) -> str:
    """What is needed instead of this version; nothing if it will do, or is not known."""
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    return "at least 6.2 is needed" if numbers and numbers < OLDEST else ""


def version(info: Words) -> Finding:
    """One that the driver knows."""
    name = info.get("server_name", "redis")
    found = info.get(f"{name}_version") or info.get("redis_version", "of unknown version")
    if lack := too_old(info.get("redis_version", "")):
        return Finding("version", f"{name} {found}", Level.PROBLEM, f"{lack}: upgrade it")
    return Finding("version", f"{name} {found}")


def role(info: Words) -> Finding:
    """A master, alone or of a Cluster."""
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
    """None: a full server refuses what is new, and keeps what it has."""
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and info.get("maxmemory", "0") != "0":
        advice = "set maxmemory-policy to noeviction: a full server drops messages"
        return Finding("eviction", policy, Level.WARNING, advice)
    return Finding("eviction", policy)


def memory(info: Words) -> Finding:
    """Some left."""
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    value = (
        f"{used / 1024**2:.1f} MiB used, {f'of {most / 1024**2:.1f} MiB' if most else 'no limit'}"
    )
    if most and used > FULL * most:
        advice = "raise maxmemory, or run more workers: a full server takes no messages"
        return Finding("memory", value, Level.WARNING, advice)
    return Finding("memory", value)


def persistence(info: Words, config: Words) -> Finding:
    """An append-only file that is written to the disk."""
    if info.get("aof_enabled") == "1":
        sync = config.get("appendfsync", "not known")
        value = f"append-only file, appendfsync {sync}"
        if sync == "no":
            advice = "set appendfsync to everysec: a power cut takes what the system held back"
            return Finding("persistence", value, Level.WARNING, advice)
        return Finding("persistence", value)
    if config.get("save", "not known") == "":
        advice = "set appendonly to yes: a restart of the server loses all messages"
        return Finding("persistence", "none", Level.WARNING, advice)
    advice = "set appendonly to yes: a crash loses what came since the last snapshot"
    return Finding("persistence", "snapshots only", Level.WARNING, advice)


def saving(info: Words) -> list[Finding]:
    """What is kept reaches the disk."""
    states = {
        "append-only file": info.get("aof_last_write_status", "ok"),
        "snapshot": info.get("rdb_last_bgsave_status", "ok"),
    }
    failed = [name for name, state in states.items() if state != "ok"]
    if not failed:
        return []
    advice = "look at the server's log and its disk: until it can save, it refuses messages"
    return [Finding("saving", f"{' and '.join(failed)} failed", Level.PROBLEM, advice)]
