"""Checks the names of tables, and quotes them for statements."""

import re
from dataclasses import dataclass

#: Suffixes of the queue table's name.
WORKERS, PAUSED, MIGRATIONS = "_workers", "_paused", "_migrations"
#: Longest name of a table that leaves room for a suffix.
LONGEST = 64 - len(MIGRATIONS)
_NAME = re.compile(r"[0-9A-Za-z_$\-]+")


@dataclass(frozen=True, slots=True)
class Tables:
    """Quoted names, each with its database: a caller's connection may use another database."""

    queue: str
    dead_letters: str
    workers: str
    paused: str
    migrations: str

    @classmethod
    def of(cls, database: str, queue: str, dead_letters: str) -> "Tables":
        """Build the names from those in the settings, each with an optional database."""
        own, name = name_parts(queue)
        dead_own, dead_name = name_parts(dead_letters)
        schema, dead_schema = own or database, dead_own or database
        return cls(
            _quoted(schema, name),
            _quoted(dead_schema, dead_name),
            _quoted(schema, name + WORKERS),
            _quoted(schema, name + PAUSED),
            _quoted(schema, name + MIGRATIONS),
        )

    def all(self) -> tuple[str, ...]:
        """Return every name."""
        return self.queue, self.dead_letters, self.workers, self.paused, self.migrations


def name_parts(name: str) -> tuple[str, str]:
    """Return database (or "") and table; raise `ValueError` for an invalid name."""
    database, dot, table = name.rpartition(".")
    parts = [database, table] if dot else [table]
    if not all(_NAME.fullmatch(part) for part in parts):
        raise ValueError(
            "is not a valid table name: use letters, digits, _, - and $, and at most one dot, after"
            " the name of a database"
        )
    if len(table) > LONGEST or len(database) > 64:
        raise ValueError(f"is too long: at most {LONGEST} characters are allowed")
    return database, table


def _quoted(*parts: str) -> str:
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts)


def parts(quoted: str) -> tuple[str, str]:
    """Split a quoted name of `Tables` into database and table."""
    database, table = quoted[1:-1].split("`.`")
    return database.replace("``", "`"), table.replace("``", "`")
