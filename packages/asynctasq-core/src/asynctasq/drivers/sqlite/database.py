"""The connection to a file and the transaction that is open on it, for one thread."""

import os
import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asynctasq.drivers.sqlite.opening import open_file
from asynctasq.drivers.sqlite.settings import SQLiteSettings

Parameters = Sequence[object] | Mapping[str, object]

#: No moment is later than this many seconds from now; some thousand years are for ever.
FOREVER = 1e11


class Database:
    """One connection. A transaction begins with the first call that writes.

    Attributes:
        news: the open transaction makes a message deliverable now or later.
    """

    def __init__(self, path: Path, settings: SQLiteSettings) -> None:
        self.path = path
        self.news = False
        self._settings = settings
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._version = 0

    def open(self) -> sqlite3.Connection:
        """The connection, opened if it is not."""
        if self._connection is None:
            self._connection = open_file(
                self.path,
                synchronous=self._settings.sqlite_synchronous,
                busy_timeout=self._settings.sqlite_busy_timeout,
            )
            self._file = _identity(self.path)
        return self._connection

    def close(self) -> None:
        """Close the file; the last one to do so, in all processes, tidies up its journal."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def drop_replaced_file(self) -> None:
        """Close a file that was removed or replaced; the next call opens what is there now.

        What is written to a file that lost its name is acknowledged, and gone. Raises `OSError`
        while the place of the file cannot be looked at.
        """
        if self._connection is not None and self._file != _identity(self.path):
            self.close()

    def now(self) -> int:
        """Microseconds by the machine's clock."""
        return machine_now()

    def execute(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        """Run a statement, in the open transaction if there is one."""
        return self.open().execute(sql, parameters)

    def value(self, sql: str, parameters: Parameters = ()) -> Any:
        """The first column of the first row."""
        return self.execute(sql, parameters).fetchone()[0]

    def begin(self) -> None:
        """Begin a transaction that may write, unless one is open."""
        if not self.open().in_transaction:
            self.execute("BEGIN IMMEDIATE")

    def commit(self) -> bool:
        """Make durable what was written; return whether it is news to those who wait."""
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("COMMIT")
        news, self.news = self.news, False
        return news

    def rollback(self) -> None:
        """Take back what was written."""
        self.news = False
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def changed(self) -> bool:
        """Whether another connection committed since the last look."""
        if self._connection is None:
            return False
        before, self._version = self._version, self.value("PRAGMA data_version")
        return before != self._version


def machine_now() -> int:
    """Microseconds by the machine's clock, which all processes share."""
    return time.time_ns() // 1000


def micros(seconds: float) -> int:
    """A duration in the unit of the tables."""
    return round(min(seconds, FOREVER) * 1e6)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        os.stat(path.parent)  # its directory is gone with it: nothing can be created there
        return None
    return status.st_dev, status.st_ino
