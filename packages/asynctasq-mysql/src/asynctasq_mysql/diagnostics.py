"""The `Diagnostics` capability: finds what keeps workers from running well."""

# pyright: reportUnknownMemberType=false
# the client library has no types

from collections.abc import Mapping, Sequence

import pymysql

from asynctasq.drivers import Finding
from asynctasq_mysql.connection import Link
from asynctasq_mysql.diagnostic_context import Check, DiagnosticContext, diagnostic_context
from asynctasq_mysql.errors import error_code, error_text, translate_errors
from asynctasq_mysql.server_checks import durability, isolation, lock_wait, packet, role, version
from asynctasq_mysql.settings import MySQLSettings
from asynctasq_mysql.table_checks import engine, paused, rights, tables
from asynctasq_mysql.transaction_checks import history, oldest_transaction

CHECKS: Mapping[str, Check] = {
    "version": version,
    "role": role,
    "tables": tables,
    "rights": rights,
    "paused queues": paused,
    "engine": engine,
    "isolation": isolation,
    "durability": durability,
    "largest packet": packet,
    "lock wait": lock_wait,
    "oldest transaction": oldest_transaction,
    "history": history,
}
#: Error numbers that answer a check: a missing right, table, column or setting.
_ANSWERED = frozenset({1044, 1054, 1109, 1142, 1143, 1146, 1193, 1227, 1356})


class MySQLDiagnostics:
    """The method of `Diagnostics`."""

    @property
    def mysql(self) -> MySQLSettings:
        """The driver's settings."""
        raise NotImplementedError

    async def diagnose(self) -> Sequence[Finding]:
        """Run all checks over a connection of their own; see `Diagnostics.diagnose`."""
        link = Link(self.mysql.target())
        with translate_errors(self.mysql.location()):
            await link.open()
            try:
                context = await diagnostic_context(link, self.mysql)
                found = [await _run(name, check, context) for name, check in CHECKS.items()]
            finally:
                await link.close()
        return [finding for finding in found if finding is not None]


async def _run(name: str, check: Check, context: DiagnosticContext) -> Finding | None:
    try:
        return await check(context)
    except pymysql.Error as error:
        if error_code(error) not in _ANSWERED:
            raise
        return Finding(name, f"not known: {error_text(error)}")
