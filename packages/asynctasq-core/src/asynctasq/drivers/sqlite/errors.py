"""Translates the errors of sqlite3 and the file system to those of the seam."""

import sqlite3
from pathlib import Path

from asynctasq.errors import BrokerRejected, BrokerUnavailable

#: Primary result codes after which the same call may succeed later, with advice.
_PASSING = {
    sqlite3.SQLITE_BUSY: "another process keeps it locked; try again or raise sqlite_busy_timeout",
    sqlite3.SQLITE_LOCKED: "it is locked; try again",
    sqlite3.SQLITE_PROTOCOL: "another process keeps it locked; try again",
    sqlite3.SQLITE_FULL: "the disk is full; make room",
    sqlite3.SQLITE_IOERR: "the disk does not read or write; check it",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check its directory",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
}
#: Primary result codes that last, with advice.
_LASTING = {
    sqlite3.SQLITE_READONLY: "it cannot be written; check the permissions of file and directory",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database; choose another path",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore it or choose another path",
    sqlite3.SQLITE_TOOBIG: "a message is too large for it",
}


def is_busy(error: BaseException) -> bool:
    """Return whether another connection held its lock for too long."""
    return isinstance(error, sqlite3.Error) and primary_code(error) == sqlite3.SQLITE_BUSY


def primary_code(error: sqlite3.Error) -> int:
    """Return the primary result code; 0 without one."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def translate_errors(error: BaseException, path: Path) -> BaseException:
    """Return the seam's error for `error`; errors from elsewhere are returned unchanged.

    Errors of the file system are temporary: a file that was open once is back when its network
    mount, disk or permission is.
    """
    if isinstance(error, OSError):
        return BrokerUnavailable(f"cannot access {path}: {error.strerror or error}")
    if not isinstance(error, sqlite3.Error):
        return error
    code = primary_code(error)
    if code in _PASSING:
        return BrokerUnavailable(f"{path}: {_PASSING[code]} ({error})")
    return BrokerRejected(f"{path}: {_LASTING.get(code, 'SQLite refuses the call')} ({error})")
