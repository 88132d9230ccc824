"""One connection to the file, and the transaction open on it; used by one thread."""

import os
import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asynctasq.drivers.sqlite.opening import open_file
from asynctasq.drivers.sqlite.settings import SQLiteSettings

Parameters = Sequence[object] | Mapping[str, object]

#: Longest duration in seconds, about 3,000 years: larger values would overflow the column.
FOREVER = 1e11


class Database:
    """One connection. A transaction begins with the first call that writes.

    Attributes:
        wakes: the open transaction makes a message deliverable, so its commit wakes waiters.
    """

    def __init__(self, path: Path, settings: SQLiteSettings) -> None:
        self.path = path
        self.wakes = False
        self._settings = settings
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._version = 0

    def open(self) -> sqlite3.Connection:
        """Return the connection, and open it if needed."""
        if self._connection is None:
            self._connection = open_file(
                self.path,
                synchronous=self._settings.sqlite_synchronous,
                busy_timeout=self._settings.sqlite_busy_timeout,
            )
            self._file = _identity(self.path)
        return self._connection

    def close(self) -> None:
        """Close the file; the last connection of all processes removes the journal."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def drop_replaced_file(self) -> None:
        """Close a file that was removed or replaced; the next call opens the new file.

        Writes to an unlinked file succeed, and are lost. Raises `OSError` while the path cannot
        be read.
        """
        if self._connection is not None and self._file != _identity(self.path):
            self.close()

    def now(self) -> int:
        """Return the machine's time in microseconds."""
        return machine_now()

    def execute(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        """Run a statement, in the open transaction if there is one."""
        return self.open().execute(sql, parameters)

    def value(self, sql: str, parameters: Parameters = ()) -> Any:
        """Return the first column of the first row."""
        return self.execute(sql, parameters).fetchone()[0]

    def begin(self) -> None:
        """Begin a transaction that may write, unless one is open."""
        if not self.open().in_transaction:
            self.execute("BEGIN IMMEDIATE")

    def commit(self) -> bool:
        """Commit the open transaction; return whether to wake waiters."""
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("COMMIT")
        wakes, self.wakes = self.wakes, False
        return wakes

    def rollback(self) -> None:
        """Roll back the open transaction."""
        self.wakes = False
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def changed(self) -> bool:
        """Return whether another connection committed since the last call."""
        if self._connection is None:
            return False
        before, self._version = self._version, self.value("PRAGMA data_version")
        return before != self._version


def machine_now() -> int:
    """Return the machine's time, which all processes share, in microseconds."""
    return time.time_ns() // 1000


def micros(seconds: float) -> int:
    """Convert seconds to microseconds, the unit of the tables."""
    return round(min(seconds, FOREVER) * 1e6)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        os.stat(path.parent)  # raises if the directory is gone, too: the file cannot be created
        return None
    return status.st_dev, status.st_ino
