"""Opens the file and creates its tables; refuses, and never changes, another application's."""

import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from asynctasq.drivers.sqlite.errors import is_busy
from asynctasq.errors import BrokerRejected

OLDEST_SQLITE = (3, 35, 0)  # the first with RETURNING
APPLICATION_ID = int.from_bytes(b"ATsq", "big")

# `seq` is the order of arrival. A message is held while it has a receipt, dead when it has a
# `died_at`. It keeps its receipt when its lease runs out: the next claim marks it `abandoned`,
# and only RELEASE keeps that mark. Times are microseconds of the machine's clock, which all
# processes share.
# `due` serves the claim's WHERE and ORDER BY, and with `receipt` counts of states without the
# bodies; dead messages are not in it.
_TABLES = (
    """
    CREATE TABLE messages (
        seq INTEGER PRIMARY KEY,
        queue TEXT NOT NULL,
        id TEXT NOT NULL,
        body BLOB NOT NULL,
        visible_at INTEGER NOT NULL,
        attempt INTEGER NOT NULL DEFAULT 0,
        receipt INTEGER,
        abandoned INTEGER NOT NULL DEFAULT 0,
        died_at INTEGER,
        note TEXT NOT NULL DEFAULT '',
        UNIQUE (queue, id)
    )
    """,
    "CREATE INDEX due ON messages (queue, visible_at, seq, receipt) WHERE died_at IS NULL",
    "CREATE INDEX dead ON messages (queue, died_at DESC) WHERE died_at IS NOT NULL",
    """
    CREATE TABLE workers (
        id TEXT PRIMARY KEY,
        info TEXT NOT NULL,
        heard_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL
    )
    """,
    f"PRAGMA application_id = {APPLICATION_ID}",
)
_PAUSED = ("CREATE TABLE paused (queue TEXT PRIMARY KEY) WITHOUT ROWID",)
#: Migrations from each schema version to the next, beginning with an empty file.
_STEPS = (_TABLES, _PAUSED)
SCHEMA_VERSION = len(_STEPS)

_PRAGMAS = (
    "cache_size = -16000",  # 16 MB: the hot pages of all indexes
    "wal_autocheckpoint = 4000",  # 16 MB: pages change often before they are copied once
    "journal_size_limit = 67108864",  # after a burst the journal shrinks to 64 MB
)


def open_file(path: Path, *, synchronous: str, busy_timeout: float) -> sqlite3.Connection:
    """Connect to the file; create and initialise it when it is new or empty.

    Raises:
        BrokerRejected: the path, the file or the version of SQLite cannot be used.
        sqlite3.Error: any other failure.
    """
    check_place(path)
    connection = sqlite3.connect(path, timeout=busy_timeout, isolation_level=None)
    try:
        _initialise(connection, path)
        _use_wal(connection, path, busy_timeout)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:  # closed, and raised again
        connection.close()
        raise
    return connection


def check_place(path: Path) -> None:
    """Raise `BrokerRejected` if the path cannot be opened or created, or SQLite is too old."""
    _refuse_old_sqlite()
    _refuse_path(path)


def _refuse_old_sqlite() -> None:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise BrokerRejected(
            f"SQLite {sqlite3.sqlite_version} is too old: the sqlite driver needs 3.35; "
            "use a newer Python"
        )


def _refuse_path(path: Path) -> None:
    if path.is_dir():
        raise BrokerRejected(f"{path} is a directory; sqlite_path must name a file in it")
    if not path.parent.is_dir():
        raise BrokerRejected(f"{path.parent} is no directory; create it or change sqlite_path")
    if path.exists() and not _may(path, os.R_OK | os.W_OK):
        raise BrokerRejected(f"{path} cannot be written; change its permissions or sqlite_path")
    if not _may(path.parent, os.W_OK | os.X_OK):
        raise BrokerRejected(
            f"{path.parent} cannot be written, where SQLite keeps its journal; "
            "change its permissions or sqlite_path"
        )


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _initialise(connection: sqlite3.Connection, path: Path) -> None:
    with _transaction(connection, "BEGIN"):
        if _version(connection, path) == SCHEMA_VERSION:
            return
    with _transaction(connection, "BEGIN IMMEDIATE"):
        # the version again: another process may have initialised the file in between
        for step in _STEPS[_version(connection, path) :]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Generator[None]:
    connection.execute(begin)
    yield
    connection.execute("COMMIT")  # after an error the connection is closed, which rolls back


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema version; 0 for an empty file, an error for another application's.

    Needs a transaction: another process may initialise the file between two statements.
    """
    application, version, tables = (
        connection.execute(statement).fetchone()[0]
        for statement in (
            "PRAGMA application_id",
            "PRAGMA user_version",
            "SELECT count(*) FROM sqlite_master",
        )
    )
    if application == APPLICATION_ID:
        if version > SCHEMA_VERSION:
            raise BrokerRejected(f"{path} was made by a newer asynctasq; upgrade this one")
        return version
    if application or version or tables:
        raise BrokerRejected(f"{path} is another application's database; choose another path")
    return 0


def _use_wal(connection: sqlite3.Connection, path: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            # SQLite ignores busy_timeout here, because two connections could deadlock.
            if not is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
    if mode != "wal":
        raise BrokerRejected(f"{path}: this file system has no shared memory; use a local disk")
