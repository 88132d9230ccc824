"""The checks of `Diagnostics`: the file, its journal, its disk and the synchronous setting."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from asynctasq.drivers.capabilities.diagnostics import Finding, Level
from asynctasq.drivers.sqlite.errors import translate_errors
from asynctasq.drivers.sqlite.opening import check_place, open_file
from asynctasq.drivers.sqlite.settings import SQLiteSettings

#: Bytes; a larger journal than the driver's limit means that a reader blocks its checkpoints.
LONG_JOURNAL = 128 * 1024 * 1024
#: Free bytes under which the disk is a warning.
FREE_DISK = 256 * 1024 * 1024


def diagnose(path: Path, settings: SQLiteSettings) -> list[Finding]:
    """Return all findings; blocks, and creates no file.

    Raises `BrokerRejected` and `BrokerUnavailable` as opening the file does.
    """
    try:
        return list(_findings(path, settings))
    except (sqlite3.Error, OSError) as error:
        raise translate_errors(error, path) from error


def _findings(path: Path, settings: SQLiteSettings) -> Iterator[Finding]:
    check_place(path)
    yield Finding("version", sqlite3.sqlite_version)
    if path.exists():
        synchronous = settings.sqlite_synchronous
        with closing(
            open_file(path, synchronous=synchronous, busy_timeout=settings.sqlite_busy_timeout)
        ) as connection:
            yield Finding("file", f"{_megabytes(path.stat().st_size)}, writable")
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            yield _journal(mode, path.with_name(f"{path.name}-wal"))
            paused = connection.execute("SELECT queue FROM paused ORDER BY queue").fetchall()
            yield Finding.of_paused([queue for (queue,) in paused])
    else:
        yield Finding("file", "does not exist yet; its directory is writable")
    yield _synchronous(settings.sqlite_synchronous)
    yield _disk(shutil.disk_usage(path.parent).free)


def _journal(mode: str, journal: Path) -> Finding:
    size = journal.stat().st_size if journal.exists() else 0
    value = f"{mode}, {_megabytes(size)}"
    if size > LONG_JOURNAL:
        advice = "end the program that keeps a transaction open on this file: the journal grows"
        return Finding("journal", value, Level.WARNING, advice)
    return Finding("journal", value)


def _synchronous(value: str) -> Finding:
    if value == "full":
        return Finding("synchronous", "full")
    advice = "a power cut may lose the last calls; sqlite_synchronous=full keeps them"
    return Finding("synchronous", value, Level.WARNING, advice)


def _disk(free: int) -> Finding:
    value = f"{_megabytes(free)} free"
    if free < FREE_DISK:
        return Finding("disk", value, Level.WARNING, "free some space: a full disk takes no calls")
    return Finding("disk", value)


def _megabytes(size: int) -> str:
    return f"{size / 1024**2:.1f} MiB"
