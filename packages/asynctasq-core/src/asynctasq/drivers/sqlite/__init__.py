"""The embedded driver: queues in one SQLite file, durable, shared by processes of one machine."""

from asynctasq.drivers.sqlite.driver import SQLiteDriver
from asynctasq.drivers.sqlite.settings import SQLiteSettings

__all__ = ["SQLiteDriver", "SQLiteSettings"]
