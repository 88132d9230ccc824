"""Unwraps SQLAlchemy and Django connections to the client library's connection under them.

For drivers that store messages in a caller's transaction. Neither library is imported; their
objects are recognised by the modules of their classes.
"""

from typing import Any

from asynctasq.errors import BrokerRejected


async def unwrapped_async(connection: object) -> object:
    """Returns the client library's connection under a synchronous or asynchronous `connection`."""
    known: Any = connection
    if is_of(connection, "sqlalchemy"):
        if hasattr(known, "sync_session") or _is_async_scoped(connection):
            known = await known.connection()
        if hasattr(known, "get_raw_connection"):
            await known.exec_driver_sql("SELECT 1")  # SQLAlchemy begins with its first statement
            return (await known.get_raw_connection()).driver_connection
    return unwrapped(connection)


def unwrapped(connection: object) -> object:
    """Returns the client library's connection under a synchronous `connection`.

    Raises `BrokerRejected` for an asynchronous connection, and for Django's on an event loop.
    """
    known: Any = connection
    if is_of(connection, "sqlalchemy"):
        if hasattr(known, "get_raw_connection") or hasattr(known, "sync_session"):
            raise BrokerRejected("this connection is asynchronous: await dispatch(connection=…)")
        if callable(known.connection):  # of a session
            known = known.connection()
        if not known.in_transaction():
            known.begin()  # as SQLAlchemy's first statement would: else its commit does nothing
        return known.connection.driver_connection
    return _of_django(known) if is_of(connection, "django") else connection


def name_of(connection: object) -> str:
    """Returns the module and class of a connection, for an error text."""
    kind = type(connection)
    return f"{kind.__module__}.{kind.__qualname__}"


def is_of(connection: object, *packages: str) -> bool:
    """Returns whether the class of `connection`, or a base of it, is defined in `packages`."""
    modules = (kind.__module__ for kind in type(connection).__mro__)
    return any(module.partition(".")[0] in packages for module in modules)


def _of_django(connection: Any) -> object:
    try:
        connection.ensure_connection()
    except Exception as error:  # Django's class has no name without importing Django
        if type(error).__name__ != "SynchronousOnlyOperation":
            raise
        raise BrokerRejected(
            "Django's connections are for synchronous code: run the transaction in a function,"
            " with dispatch_sync(connection=…), and await sync_to_async(function)()"
        ) from error
    return connection.connection


def _is_async_scoped(connection: object) -> bool:
    return type(connection).__name__ == "async_scoped_session"
