"""The names of tables and functions, derived from the two table names in the settings."""

import hashlib
import re
from dataclasses import dataclass

_PART = r"[A-Za-z_][A-Za-z0-9_]*"
_TABLE = re.compile(rf"(?:(?P<schema>{_PART})\.)?(?P<name>{_PART})")
_PLACE = re.compile(r"\{(\w+)\}")
#: PostgreSQL truncates names after 63 bytes, and refuses longer channel names; our suffixes have up
#: to 11 characters, and every character is one byte.
LONGEST = 48
LONGEST_CHANNEL = 63


def check_table_name(name: str) -> str:
    """Return `name`; raises `ValueError` unless it is a valid table name here."""
    match = _TABLE.fullmatch(name)
    if match is None:
        raise ValueError(
            "write a table name of letters, digits and underscores, or schema.table of them"
        )
    if max(len(match["schema"] or ""), len(match["name"])) > LONGEST:
        raise ValueError(f"a table name has at most {LONGEST} characters")
    return name


@dataclass(frozen=True, slots=True)
class Names:
    """Tables, their indexes and functions; `fill` puts their quoted names into SQL."""

    queue_table: str
    dead_letter_table: str

    def fill(self, sql: str) -> str:
        """Return `sql` with names for placeholders such as ``{table}``."""
        return _PLACE.sub(lambda match: self._of(match[1]), sql)

    def _of(self, place: str) -> str:
        match place:
            case "channel":
                return self.channel
            case "table":
                return _quoted(self.queue_table)
            case "dead":
                return _quoted(self.dead_letter_table)
            case "due_index":  # an index is in the schema of its table
                return _quoted(_bare(self.queue_table) + "_due")
            case "died_index":
                return _quoted(_bare(self.dead_letter_table) + "_died")
            case _:
                return _quoted(f"{self.queue_table}_{place}")

    @property
    def channel(self) -> str:
        """The channel of notifications; a long name is shortened, with its hash as the suffix."""
        name = self.queue_table.encode()
        if len(name) <= LONGEST_CHANNEL:
            return self.queue_table
        suffix = f"_{hashlib.sha256(name).hexdigest()[:16]}"
        return name[: LONGEST_CHANNEL - len(suffix)].decode(errors="ignore") + suffix

    def relations(self) -> list[str]:
        """Return the names of tables, indexes and the sequence; all must differ."""
        kinds = ("workers", "paused", "migrations")
        tables = [self.queue_table, *(f"{self.queue_table}_{kind}" for kind in kinds)]
        tables.append(self.dead_letter_table)
        others = (self.queue_table + "_due", self.queue_table + "_seq_seq")
        keys = [f"{table}_pkey" for table in tables]
        return [*tables, *keys, *others, self.dead_letter_table + "_died"]


def _quoted(name: str) -> str:
    return ".".join(f'"{part}"' for part in name.split("."))


def _bare(name: str) -> str:
    return name.rpartition(".")[2]
