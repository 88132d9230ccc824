"""Names of tables: checked, and quoted for statements."""

import re
from dataclasses import dataclass

#: What is appended to the name of the queue table.
WORKERS, PAUSED, MIGRATIONS = "_workers", "_paused", "_migrations"
#: Longest name of a table that leaves room for what is appended.
LONGEST = 64 - len(MIGRATIONS)
_NAME = re.compile(r"[0-9A-Za-z_$\-]+")


@dataclass(frozen=True, slots=True)
class Tables:
    """The quoted names, each with its database: other connections have other databases."""

    queue: str
    dead_letters: str
    workers: str
    paused: str
    migrations: str

    @classmethod
    def of(cls, database: str, queue: str, dead_letters: str) -> "Tables":
        """From the names in the settings, which may begin with a database of their own."""
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
        """Every name."""
        return self.queue, self.dead_letters, self.workers, self.paused, self.migrations


def name_parts(name: str) -> tuple[str, str]:
    """Database, or "", and table; raises `ValueError` for what is no name of a table."""
    database, dot, table = name.rpartition(".")
    parts = [database, table] if dot else [table]
    if not all(_NAME.fullmatch(part) for part in parts):
        raise ValueError(
            "is no name of a table: letters, digits, _, - and $ are possible, and one dot after"
            " the name of a database"
        )
    if len(table) > LONGEST or len(database) > 64:
        raise ValueError(f"is too long a name: at most {LONGEST} characters are possible")
    return database, table


def _quoted(*parts: str) -> str:
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts)


def parts(quoted: str) -> tuple[str, str]:
    """Database and table of one of the names of `Tables`."""
    database, table = quoted[1:-1].split("`.`")
    return database.replace("``", "`"), table.replace("``", "`")
