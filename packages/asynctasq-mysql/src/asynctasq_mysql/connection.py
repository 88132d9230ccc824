"""One connection to the server: opening, TLS, and several statements in one round trip."""

# pyright: reportUnknownMemberType=false, reportUntypedBaseClass=false, reportMissingTypeStubs=false
# aiomysql has no types; all use of it is behind `Link`

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import aiomysql
from pymysql.constants import CLIENT

from asynctasq.drivers.connection_reset import resets
from asynctasq.errors import BrokerRejected
from asynctasq_mysql.errors import NotEncrypted
from asynctasq_mysql.url import TLS, Target

Row = tuple[Any, ...]

#: Seconds in which the server must answer: a peer that vanished never does. Short enough to leave
#: time to extend a lease of the usual length on another connection.
ANSWER_LIMIT = 15.0
#: Seconds in which a connection must be established.
OPEN_LIMIT = 6.0
#: Seconds that closing a connection may take.
CLOSE_LIMIT = 0.5

# Notes ("table exists") would become Python warnings, hence sql_notes. The server's init_connect
# may have turned autocommit off without the client library noticing.
_SETUP = (
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;"
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00',"
    " autocommit = 1, sql_notes = 0, innodb_lock_wait_timeout = 3, group_concat_max_len = 1048576"
)


class _Connection(aiomysql.Connection):
    """A connection that never sends a password in the clear where the DSN requires TLS.

    aiomysql alone continues unencrypted when the server, or an impostor, offers no TLS.
    """

    needs_tls = False

    async def _request_authentication(self) -> None:
        if self.needs_tls and not self.server_capabilities & CLIENT.SSL:
            raise NotEncrypted
        await super()._request_authentication()


class _Cursor(aiomysql.Cursor):
    """A cursor that fetches no warnings after a statement: ours check the rows they change."""

    async def _show_warnings(self, conn: object) -> None:
        pass


class Link:
    """A connection to the server, in autocommit and READ COMMITTED."""

    def __init__(self, target: Target) -> None:
        context = tls_context(target.tls) if not target.socket else None
        self._connection: Any = _Connection(
            host=target.host,
            port=target.port,
            unix_socket=target.socket or None,
            user=target.user,
            # the bytes MySQL's own clients send: aiomysql encodes as Latin-1
            password=target.password.encode().decode("latin-1"),
            db=target.database,
            charset="utf8mb4",
            autocommit=True,
            ssl=context,
            program_name="asynctasq",
            cursorclass=_Cursor,
        )
        self._connection.needs_tls = target.tls.mode not in ("disabled", "preferred")

    async def open(self) -> None:
        """Connect, or raise an error of the client library."""
        try:
            async with asyncio.timeout(OPEN_LIMIT):
                await self._connection.ping()  # unlike connect(), it leaves cleaning up to us
                await self._run(_SETUP)
        except BaseException:  # aborted, and raised again
            self.abort()
            raise

    async def run(self, sql: str, *, limit: float | None = ANSWER_LIMIT) -> list[Sequence[Row]]:
        """Run the statements in `sql`, separated by ``;``, and return the rows of each."""
        async with asyncio.timeout(limit):
            return await self._run(sql)

    async def _run(self, sql: str) -> list[Sequence[Row]]:
        with resets():
            return await self._rows(sql)

    async def _rows(self, sql: str) -> list[Sequence[Row]]:
        async with self._connection.cursor() as cursor:
            await cursor.execute(sql)
            results: list[Sequence[Row]] = [await cursor.fetchall()]
            while await cursor.nextset():
                results.append(await cursor.fetchall())
            return results

    def is_open(self) -> bool:
        """Whether the server has kept the connection open, as far as the socket shows."""
        connection = self._connection
        if connection.closed:
            return False
        # the same test as in aiomysql's own pool
        return not (connection._reader.eof_received or connection._reader.exception())

    def abort(self) -> None:
        """Drop the connection; the server rolls back any open transaction."""
        self._connection.close()

    async def close(self) -> None:
        """Close gracefully (COM_QUIT)."""
        writer = self._connection._writer
        with suppress(OSError), resets():
            async with asyncio.timeout(CLOSE_LIMIT):
                await self._connection.ensure_closed()
                if writer is not None:
                    await writer.wait_closed()
        self.abort()


def tls_context(tls: TLS) -> ssl.SSLContext | None:
    """Return the SSL context, None without TLS; raise `BrokerRejected` if a file does not load."""
    if tls.mode == "disabled":
        return None
    try:
        context = ssl.create_default_context(cafile=tls.ca or None)
        if tls.cert:
            context.load_cert_chain(tls.cert, tls.key or None)
    except OSError as error:  # including ssl.SSLError
        raise BrokerRejected(
            f"ssl_ca, ssl_cert or ssl_key of mysql_dsn does not load: {error.strerror}"
        ) from error
    context.check_hostname = tls.mode == "verify_identity"
    if not tls.mode.startswith("verify"):
        context.verify_mode = ssl.CERT_NONE
    return context
