"""Connections to the server: the shared pool, and single connections."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# asyncpg ships no types

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar, cast

import asyncpg

from asynctasq_postgres.settings import PostgresSettings

#: Seconds within which a connection is established.
CONNECT_LIMIT = 5.0
#: Seconds that a cancelled caller waits for its opening connection before it is given up.
CUT_LIMIT = 1.0
#: Seconds that a statement may take: a server whose host is down never answers. An extension that
#: starts after a third of a usual lease and fails so late can be repeated on another connection.
STATEMENT_LIMIT = 15.0

Row = Sequence[Any]


class Connection(Protocol):
    """The methods of asyncpg's connections that the driver uses."""

    async def fetch(self, query: str, *args: object) -> Sequence[Row]:
        """Run one statement; return its rows."""
        ...

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str:
        """Run statements without rows."""
        ...

    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None:
        """Call `callback` with connection, process id, channel and payload."""
        ...

    def add_termination_listener(self, callback: Callable[..., None]) -> None:
        """Call `callback` when the connection is closed."""
        ...

    def get_server_version(self) -> tuple[int, ...]:
        """Return the server's version, major number first."""
        ...

    def get_server_pid(self) -> int:
        """Return the process id that the server, or a pooler, sent when the connection opened."""
        ...

    def transaction(self) -> Any:
        """Return a transaction, an asynchronous context manager."""
        ...

    async def close(self, *, timeout: float | None = None) -> None:
        """Close gracefully (Terminate message)."""
        ...

    def terminate(self) -> None:
        """Close at once."""
        ...


class Pool(Protocol):
    """The methods of asyncpg's pools that the driver uses."""

    def acquire(self, *, timeout: float | None = None) -> Any:
        """Return a connection, as an asynchronous context manager."""
        ...

    async def expire_connections(self) -> None:
        """Replace all connections that are open now."""
        ...

    async def close(self) -> None:
        """Close all connections, after their statements."""
        ...

    def terminate(self) -> None:
        """Close all connections at once."""
        ...


Opened = TypeVar("Opened", Connection, Pool)


class _Stateless(asyncpg.Connection):
    """A connection whose session state never changes, so it needs no reset."""

    def get_reset_query(self) -> str:
        return ""


async def open_pool(settings: PostgresSettings) -> Pool:
    """Open a pool with its first connections."""
    pool = cast(Any, asyncpg.create_pool)(
        min_size=settings.postgres_min_pool_size,
        max_size=settings.postgres_max_pool_size,
        connection_class=_Stateless,
        **_options(settings),
    )

    async def open_it() -> Pool:
        try:
            return cast(Pool, await pool)
        except BaseException:  # terminated, and raised again
            pool.terminate()
            raise

    return await _to_its_end(open_it())


async def open_connection(
    settings: PostgresSettings, *, statement_limit: float = STATEMENT_LIMIT
) -> Connection:
    """Open a single connection."""
    options = _options(settings) | {"command_timeout": statement_limit}
    opening: Coroutine[Any, Any, Connection] = cast(Any, asyncpg.connect)(**options)
    return await _to_its_end(opening)


async def _to_its_end(opening: Coroutine[Any, Any, Opened]) -> Opened:
    """Finish opening, and return the result; a cancelled caller waits up to `CUT_LIMIT`.

    Some versions of asyncpg, cancelled while they connect, leave an exception never retrieved.
    """
    task = asyncio.create_task(opening)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=CUT_LIMIT)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is None:
            task.result().terminate()
        raise


def _options(settings: PostgresSettings) -> dict[str, object]:
    dsn = settings.dsn()
    named = "application_name=" in dsn
    return {
        "dsn": dsn,
        "timeout": CONNECT_LIMIT,
        "command_timeout": STATEMENT_LIMIT,
        "statement_cache_size": settings.postgres_statement_cache_size,
        "server_settings": {} if named else {"application_name": "asynctasq"},
    }
