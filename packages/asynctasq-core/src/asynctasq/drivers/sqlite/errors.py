"""From SQLite's errors to the seam's: the one place that knows the former."""

import sqlite3
from pathlib import Path

from asynctasq.errors import BrokerRejected, BrokerUnavailable

#: Primary result codes after which the same call may succeed later, and what to do about them.
_PASSING = {
    sqlite3.SQLITE_BUSY: "another process keeps it locked; try again or raise sqlite_busy_timeout",
    sqlite3.SQLITE_LOCKED: "it is locked; try again",
    sqlite3.SQLITE_PROTOCOL: "another process keeps it locked; try again",
    sqlite3.SQLITE_FULL: "the disk is full; make room",
    sqlite3.SQLITE_IOERR: "the disk does not read or write; check it",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check its directory",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
}
_LASTING = {
    sqlite3.SQLITE_READONLY: "it cannot be written; check the permissions of file and directory",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database; choose another path",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore it or choose another path",
    sqlite3.SQLITE_TOOBIG: "a message is too large for it",
}


def is_busy(error: BaseException) -> bool:
    """Whether another connection held its lock for too long."""
    return isinstance(error, sqlite3.Error) and primary_code(error) == sqlite3.SQLITE_BUSY


def primary_code(error: sqlite3.Error) -> int:
    """The result code without what extends it, 0 when SQLite gave none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def translate_errors(error: BaseException, path: Path) -> BaseException:
    """The error of the seam that stands for `error`; what is none of SQLite's stays.

    What the file system refuses passes: a file that was opened once is there again when a network
    mount, a disk or a permission is.
    """
    if isinstance(error, OSError):
        return BrokerUnavailable(f"{path} cannot be reached: {error.strerror or error}")
    if not isinstance(error, sqlite3.Error):
        return error
    code = primary_code(error)
    if code in _PASSING:
        return BrokerUnavailable(f"{path}: {_PASSING[code]} ({error})")
    return BrokerRejected(f"{path}: {_LASTING.get(code, 'SQLite refuses the call')} ({error})")
