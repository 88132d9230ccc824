"""Stores messages over a caller's own connection, in its open transaction."""

# pyright: reportUnknownMemberType=false
# connections of other libraries are duck-typed

from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from asynctasq.drivers import Message
from asynctasq.drivers.caller_connection import is_of, name_of, unwrapped, unwrapped_async
from asynctasq.errors import BrokerRejected
from asynctasq_mysql.enqueue import find_dead, insert, portions
from asynctasq_mysql.errors import translated
from asynctasq_mysql.literals import BY_ROW, numbers
from asynctasq_mysql.names import Tables

_ASYNC = ("aiomysql", "asyncmy")
_SYNC = ("pymysql", "MySQLdb", "mysql")
_KNOWN = "a connection of aiomysql, asyncmy, PyMySQL, mysqlclient, SQLAlchemy or Django"


async def enqueue_on(
    connection: object, tables: Tables, messages: Sequence[Message], location: str
) -> None:
    """Store `messages` over an asynchronous or a synchronous connection."""
    own: Any = await unwrapped_async(connection)
    if not is_of(own, *_ASYNC):
        _enqueue(own, connection, tables, messages, location)
        return
    with _translated(location):
        async with own.cursor() as cursor:
            for portion in portions(messages):
                await cursor.execute(insert(tables, portion))
                for statement in find_dead(tables, portion):
                    await cursor.execute(statement)
                    rows = [_first(row) for row in await cursor.fetchall()]
                    if rows:
                        await cursor.execute(_delete(tables, rows))


def enqueue_on_sync(
    connection: object, tables: Tables, messages: Sequence[Message], location: str
) -> None:
    """Store `messages` over a synchronous connection."""
    _enqueue(unwrapped(connection), connection, tables, messages, location)


def _enqueue(
    own: Any, given: object, tables: Tables, messages: Sequence[Message], location: str
) -> None:
    if is_of(own, *_ASYNC):
        raise BrokerRejected("this connection is asynchronous: await dispatch(connection=…)")
    if not is_of(own, *_SYNC):
        raise BrokerRejected(f"connection= takes {_KNOWN}, and this is a {name_of(given)}")
    with _translated(location), closing(own.cursor()) as cursor:
        for portion in portions(messages):
            cursor.execute(insert(tables, portion))
            for statement in find_dead(tables, portion):
                cursor.execute(statement)
                rows = [_first(row) for row in cursor.fetchall()]
                if rows:
                    cursor.execute(_delete(tables, rows))


@contextmanager
def _translated(location: str) -> Generator[None]:
    try:
        yield
    except Exception as error:  # the client libraries share no base class
        if not is_of(error, *_ASYNC, *_SYNC):
            raise
        raise translated(error, location) from error


def _delete(tables: Tables, rows: Sequence[int]) -> str:
    return f"DELETE q FROM {tables.queue} q {BY_ROW} WHERE seq IN ({numbers(rows)})"


def _first(row: Any) -> int:
    """Return the only column of a row, which is a mapping with some cursor classes."""
    return next(iter(row.values())) if hasattr(row, "values") else row[0]
