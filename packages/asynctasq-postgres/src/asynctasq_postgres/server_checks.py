"""What the server is, and how it is set up."""

from asynctasq.drivers import Finding, Level
from asynctasq_postgres.diagnostic_context import Look
from asynctasq_postgres.session import OLDEST

#: The latest version that the driver is tested with.
NEWEST = 18


async def version(look: Look) -> Finding:
    """One that the driver knows."""
    major = look.connection.get_server_version()[0]
    value = await look.setting("server_version")
    if major < OLDEST:
        return Finding("version", value, Level.PROBLEM, f"at least {OLDEST} is needed: upgrade it")
    if major > NEWEST:
        advice = f"newer than the driver is tested with ({NEWEST}): look for its own upgrade"
        return Finding("version", value, Level.WARNING, advice)
    return Finding("version", value)


async def role(look: Look) -> Finding:
    """A server that can be written to."""
    ((standby,),) = await look.rows("SELECT pg_is_in_recovery()")
    if standby:
        advice = "connect to its primary: postgres_dsn with target_session_attrs=read-write"
        return Finding("role", "standby", Level.PROBLEM, advice)
    if await look.setting("default_transaction_read_only") == "on":
        advice = "set default_transaction_read_only to off for this user"
        return Finding("role", "primary, read-only for this user", Level.PROBLEM, advice)
    return Finding("role", "primary")


async def isolation(look: Look) -> Finding:
    """The one that makes nothing be tried again."""
    value = await look.setting("default_transaction_isolation")
    if value in ("read committed", "read uncommitted"):  # PostgreSQL has no difference
        return Finding("isolation", value)
    ((user,),) = await look.rows("SELECT quote_ident(session_user)")
    advice = (
        f"ALTER ROLE {user} SET default_transaction_isolation = 'read committed': a stricter one"
        " makes workers try again what others were faster with"
    )
    return Finding("isolation", value, Level.WARNING, advice)


async def durability(look: Look) -> Finding:
    """What a crash may take."""
    names = ("fsync", "synchronous_commit")
    values = {name: await look.setting(name) for name in names}
    value = ", ".join(f"{name} {setting}" for name, setting in values.items())
    if "off" in values.values():
        advice = "a crash may lose what was stored; turn on what is off"
        return Finding("durability", value, Level.WARNING, advice)
    return Finding("durability", value)


async def pooler(look: Look) -> Finding:
    """Somebody in between who exchanges connections."""
    ((process,),) = await look.rows("SELECT pg_backend_pid()")
    if process == look.connection.get_server_pid():
        return Finding("pooler", "none")
    if look.settings.postgres_statement_cache_size:
        advice = (
            "set postgres_statement_cache_size to 0, unless the pooler keeps sessions or prepared"
            " statements"
        )
        return Finding("pooler", "there is one", Level.WARNING, advice)
    return Finding("pooler", "there is one, and no statement is prepared")
