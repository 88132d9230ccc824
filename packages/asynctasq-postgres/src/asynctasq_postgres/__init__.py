"""The PostgreSQL driver of AsyncTasQ."""

from typing import TYPE_CHECKING

from asynctasq_postgres.settings import PostgresSettings

if TYPE_CHECKING:
    from asynctasq_postgres.driver import PostgresDriver

__all__ = ["PostgresDriver", "PostgresSettings"]


def __getattr__(name: str) -> object:
    # every command reads the settings of every driver, which needs no client library
    if name == "PostgresDriver":
        from asynctasq_postgres.driver import PostgresDriver

        return PostgresDriver
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
