"""Stores messages over the caller's connection, in the caller's transaction."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from asynctasq.drivers.base_driver import Message
from asynctasq.drivers.caller_connection import is_of, name_of, unwrapped, unwrapped_async
from asynctasq.drivers.sqlite.enqueue import insertions, refuse_names
from asynctasq.drivers.sqlite.errors import translate_errors
from asynctasq.drivers.sqlite.opening import APPLICATION_ID
from asynctasq.errors import BrokerRejected

_KNOWN = "a connection of sqlite3, aiosqlite, SQLAlchemy or Django"


async def enqueue_on(connection: object, path: Path, messages: Sequence[Message]) -> None:
    """Store `messages` over a synchronous or asynchronous connection."""
    refuse_names(messages)
    own: Any = await unwrapped_async(connection)
    if not is_of(own, "aiosqlite"):
        enqueue_on_sync(own, path, messages)
        return
    try:
        async with own.cursor() as cursor:
            cursor.row_factory = None  # the caller's may return any object for a row
            await cursor.execute("PRAGMA database_list")
            schema = _schema(await cursor.fetchall(), path)
            await cursor.execute(f"PRAGMA {schema}.application_id")
            _refuse_other_files(await cursor.fetchone(), path)
        for statement, parameters in insertions(messages, schema):
            await own.execute(statement, parameters)
    except (sqlite3.Error, OSError) as error:
        raise translate_errors(error, path) from error


def enqueue_on_sync(connection: object, path: Path, messages: Sequence[Message]) -> None:
    """Store `messages` over a synchronous connection."""
    refuse_names(messages)
    own = unwrapped(connection)
    if is_of(own, "aiosqlite"):
        raise BrokerRejected("this connection is asynchronous: await dispatch(connection=…)")
    if not isinstance(own, sqlite3.Connection):
        raise BrokerRejected(f"connection= takes {_KNOWN}, and this is a {name_of(connection)}")
    try:
        cursor = own.cursor()
        cursor.row_factory = None  # the caller's may return any object for a row
        schema = _schema(cursor.execute("PRAGMA database_list").fetchall(), path)
        _refuse_other_files(cursor.execute(f"PRAGMA {schema}.application_id").fetchone(), path)
        for statement, parameters in insertions(messages, schema):
            own.execute(statement, parameters)
    except (sqlite3.Error, OSError) as error:
        raise translate_errors(error, path) from error


def _schema(databases: Iterator[Any] | Sequence[Any], path: Path) -> str:
    """Return the quoted schema name under which the connection has attached the queue's file."""
    for _, name, file in databases:
        # the caller's text_factory may return bytes
        if file and Path(os.fsdecode(file)).resolve() == path.resolve():
            return '"' + os.fsdecode(name).replace('"', '""') + '"'
    raise BrokerRejected(
        f"this connection is not on {path}: open that file, or ATTACH it, to store tasks with"
        " your own data"
    )


def _refuse_other_files(application: Any, path: Path) -> None:
    if not application or application[0] != APPLICATION_ID:
        raise BrokerRejected(
            f"{path} has no queue tables yet: run asynctasq queues once, which creates them"
        )
