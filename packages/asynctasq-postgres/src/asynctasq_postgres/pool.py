"""Connections to the server: those that calls share, and single ones."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# asyncpg ships no types

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar, cast

import asyncpg

from asynctasq_postgres.settings import PostgresSettings

#: Seconds in which a connection is there, or not.
CONNECT_LIMIT = 5.0
#: Seconds in which it is there after its caller was cancelled, or it is given up.
CUT_LIMIT = 1.0
#: Seconds in which a statement must be through: a server that is gone without a word never answers.
#: The third of a usual lease later, and there is time to renew it on another connection.
STATEMENT_LIMIT = 15.0

Row = Sequence[Any]


class Connection(Protocol):
    """What is used of asyncpg's connections."""

    async def fetch(self, query: str, *args: object) -> Sequence[Row]:
        """The rows of one statement."""
        ...

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str:
        """Run statements without a reply."""
        ...

    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None:
        """Call `callback` with connection, process id, channel and payload."""
        ...

    def add_termination_listener(self, callback: Callable[..., None]) -> None:
        """Call `callback` when the connection is closed."""
        ...

    def get_server_version(self) -> tuple[int, ...]:
        """The version of the server, major number first."""
        ...

    def get_server_pid(self) -> int:
        """The process that the server, or a pooler, said it was when the connection opened."""
        ...

    def transaction(self) -> Any:
        """A transaction, as an asynchronous context manager."""
        ...

    async def close(self, *, timeout: float | None = None) -> None:
        """End it with a word to the server."""
        ...

    def terminate(self) -> None:
        """End it at once."""
        ...


class Pool(Protocol):
    """What is used of asyncpg's pools."""

    def acquire(self, *, timeout: float | None = None) -> Any:
        """A connection, as an asynchronous context manager."""
        ...

    async def expire_connections(self) -> None:
        """Let all that are open now be used no more."""
        ...

    async def close(self) -> None:
        """Close all connections, after what runs on them."""
        ...

    def terminate(self) -> None:
        """Close all connections at once."""
        ...


Opened = TypeVar("Opened", Connection, Pool)


class _Stateless(asyncpg.Connection):
    """A connection in whose session nothing is ever changed, so that nothing is to be reset."""

    def get_reset_query(self) -> str:
        return ""


async def open_pool(settings: PostgresSettings) -> Pool:
    """A pool, with its first connections."""
    pool = cast(Any, asyncpg.create_pool)(
        min_size=settings.postgres_min_pool_size,
        max_size=settings.postgres_max_pool_size,
        connection_class=_Stateless,
        **_options(settings),
    )

    async def open_it() -> Pool:
        try:
            return cast(Pool, await pool)
        except BaseException:
            pool.terminate()
            raise

    return await _to_its_end(open_it())


async def open_connection(
    settings: PostgresSettings, *, statement_limit: float = STATEMENT_LIMIT
) -> Connection:
    """A connection of its own."""
    options = _options(settings) | {"command_timeout": statement_limit}
    opening: Coroutine[Any, Any, Connection] = cast(Any, asyncpg.connect)(**options)
    return await _to_its_end(opening)


async def _to_its_end(opening: Coroutine[Any, Any, Opened]) -> Opened:
    """What is opened; a cancelled caller waits up to `CUT_LIMIT` for the end.

    Some versions of asyncpg, cut off while they connect, leave an error behind that nobody takes.
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
