"""The SQLite driver: durable queues in one file, shared by the processes of one machine."""

from asynctasq.drivers.sqlite.driver import SQLiteDriver
from asynctasq.drivers.sqlite.settings import SQLiteSettings

__all__ = ["SQLiteDriver", "SQLiteSettings"]
