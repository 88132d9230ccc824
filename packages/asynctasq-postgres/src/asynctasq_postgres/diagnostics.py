"""Looking for what keeps workers from running well: the `Diagnostics` ability."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

from asynctasq.drivers import Finding
from asynctasq_postgres.diagnostic_context import Check, Look
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
#: Classes of SQLSTATE that are an answer to the question itself, such as a right that is missing.
_ANSWERED = ("42", "0A")


class PostgresDiagnostics:
    """The method of `Diagnostics`."""

    settings: Any

    async def diagnose(self) -> Sequence[Finding]:
        """What was found, on connections of its own; see `Diagnostics.diagnose`."""
        given = cast(PostgresSettings, self.settings)
        # prepared statements of a session may be lost behind a pooler, which is to be found
        settings = given.model_copy(update={"postgres_statement_cache_size": 0})
        with translate_errors(settings.location()):
            connection = await open_connection(settings)
            try:
                look = Look(connection, given, partial(open_connection, settings))
                found = [await _look(name, check, look) for name, check in CHECKS.items()]
            finally:
                await connection.close(timeout=5)
        return [one for one in found if one is not None]


async def _look(name: str, check: Check, look: Look) -> Finding | None:
    try:
        return await check(look)
    except FAILURES as error:
        if not sqlstate(error).startswith(_ANSWERED):
            raise
        return Finding(name, f"not known: {str(error).strip().splitlines()[0]}")
