"""Checks of the server: version, role, isolation, durability and a pooler before it."""

from asynctasq.drivers import Finding, Level
from asynctasq_postgres.diagnostic_context import DiagnosticContext
from asynctasq_postgres.session import OLDEST

#: The latest version that the driver is tested against.
NEWEST = 18


async def version(context: DiagnosticContext) -> Finding:
    """Check that the driver supports the server's version."""
    major = context.connection.get_server_version()[0]
    value = await context.setting("server_version")
    if major < OLDEST:
        return Finding("version", value, Level.PROBLEM, f"at least {OLDEST} is needed: upgrade it")
    if major > NEWEST:
        advice = (
            f"newer than the driver is tested against ({NEWEST}): look for an upgrade of the driver"
        )
        return Finding("version", value, Level.WARNING, advice)
    return Finding("version", value)


async def role(context: DiagnosticContext) -> Finding:
    """Check that the server accepts writes."""
    ((standby,),) = await context.rows("SELECT pg_is_in_recovery()")
    if standby:
        advice = "connect to its primary: postgres_dsn with target_session_attrs=read-write"
        return Finding("role", "standby", Level.PROBLEM, advice)
    if await context.setting("default_transaction_read_only") == "on":
        advice = "set default_transaction_read_only to off for this user"
        return Finding("role", "primary, read-only for this user", Level.PROBLEM, advice)
    return Finding("role", "primary")


async def isolation(context: DiagnosticContext) -> Finding:
    """Check that the isolation level causes no serialization failures."""
    value = await context.setting("default_transaction_isolation")
    if value in ("read committed", "read uncommitted"):  # the same in PostgreSQL
        return Finding("isolation", value)
    ((user,),) = await context.rows("SELECT quote_ident(session_user)")
    advice = (
        f"ALTER ROLE {user} SET default_transaction_isolation = 'read committed': with a"
        " stricter level, statements of workers fail and are retried"
    )
    return Finding("isolation", value, Level.WARNING, advice)


async def durability(context: DiagnosticContext) -> Finding:
    """Check that committed messages survive a crash."""
    names = ("fsync", "synchronous_commit")
    values = {name: await context.setting(name) for name in names}
    value = ", ".join(f"{name} {setting}" for name, setting in values.items())
    if "off" in values.values():
        advice = "a crash may lose stored messages; turn on the setting that is off"
        return Finding("durability", value, Level.WARNING, advice)
    return Finding("durability", value)


async def pooler(context: DiagnosticContext) -> Finding:
    """Detect a pooler that switches connections."""
    ((process,),) = await context.rows("SELECT pg_backend_pid()")
    if process == context.connection.get_server_pid():
        return Finding("pooler", "none")
    if context.settings.postgres_statement_cache_size:
        advice = (
            "set postgres_statement_cache_size to 0, unless the pooler keeps sessions or prepared"
            " statements"
        )
        return Finding("pooler", "present", Level.WARNING, advice)
    return Finding("pooler", "present, and statements are not prepared")
