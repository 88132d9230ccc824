"""The `Diagnostics` capability: finds what keeps workers from running well."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

from asynctasq.drivers import Finding
from asynctasq_postgres.diagnostic_context import Check, DiagnosticContext
from asynctasq_postgres.errors import FAILURES, sqlstate, translate_errors
from asynctasq_postgres.pool import open_connection
from asynctasq_postgres.schema_checks import paused, rights, tables
from asynctasq_postgres.server_checks import durability, isolation, pooler, role, version
from asynctasq_postgres.settings import PostgresSettings
from asynctasq_postgres.transaction_checks import (
    horizon,
    oldest_transaction,
    prepared_transactions,
    replication_slots,
)
from asynctasq_postgres.vacuum_checks import autovacuum, dead_rows
from asynctasq_postgres.wake_check import notifications

CHECKS: Mapping[str, Check] = {
    "version": version,
    "role": role,
    "tables": tables,
    "rights": rights,
    "paused queues": paused,
    "isolation": isolation,
    "durability": durability,
    "pooler": pooler,
    "notifications": notifications,
    "autovacuum": autovacuum,
    "dead rows": dead_rows,
    "oldest transaction": oldest_transaction,
    "oldest snapshot": horizon,
    "prepared transactions": prepared_transactions,
    "replication slots": replication_slots,
}
#: Classes of SQLSTATE that concern the check itself, such as a missing right.
_CHECK_FAILED = ("42", "0A")


class PostgresDiagnostics:
    """The method of `Diagnostics`."""

    settings: Any

    async def diagnose(self) -> Sequence[Finding]:
        """Run all checks, on connections of their own; see `Diagnostics.diagnose`."""
        configured = cast(PostgresSettings, self.settings)
        # a pooler, which a check finds, may lose the prepared statements of a session
        settings = configured.model_copy(update={"postgres_statement_cache_size": 0})
        with translate_errors(settings.location()):
            connection = await open_connection(settings)
            try:
                connect = partial(open_connection, settings)
                context = DiagnosticContext(connection, configured, connect)
                found = [await _run(name, check, context) for name, check in CHECKS.items()]
            finally:
                await connection.close(timeout=5)
        return [finding for finding in found if finding is not None]


async def _run(name: str, check: Check, context: DiagnosticContext) -> Finding | None:
    try:
        return await check(context)
    except FAILURES as error:
        if not sqlstate(error).startswith(_CHECK_FAILED):
            raise
        return Finding(name, f"not known: {str(error).strip().splitlines()[0]}")
