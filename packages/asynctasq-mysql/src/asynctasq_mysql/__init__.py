"""The MySQL and MariaDB driver of AsyncTasQ."""

from typing import TYPE_CHECKING

from asynctasq_mysql.settings import MySQLSettings

if TYPE_CHECKING:
    from asynctasq_mysql.driver import MySQLDriver

__all__ = ["MySQLDriver", "MySQLSettings"]


def __getattr__(name: str) -> object:
    # every command reads the settings of every driver, which needs no client library
    if name == "MySQLDriver":
        from asynctasq_mysql.driver import MySQLDriver

        return MySQLDriver
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
