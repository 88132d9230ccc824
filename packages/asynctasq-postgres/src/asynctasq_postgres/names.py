"""The names of tables and functions, all made from the two that are settings."""

import hashlib
import re
from dataclasses import dataclass

_PART = r"[A-Za-z_][A-Za-z0-9_]*"
_TABLE = re.compile(rf"(?:(?P<schema>{_PART})\.)?(?P<name>{_PART})")
_PLACE = re.compile(r"\{(\w+)\}")
#: PostgreSQL cuts names after 63 bytes, and refuses longer ones of channels; ours have endings of
#: up to 11, and every character of them is one byte.
LONGEST = 48
LONGEST_CHANNEL = 63


def check_table_name(name: str) -> str:
    """`name`, if it is one that a table may have here; raises `ValueError`."""
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
    """What `fill` puts into SQL, quoted: tables, their indexes and the functions on them."""

    queue_table: str
    dead_letter_table: str

    def fill(self, sql: str) -> str:
        """`sql` with names in the place of ``{table}`` and the like."""
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
        """Where those who wait for messages are told of some; a long name ends with its hash."""
        name = self.queue_table.encode()
        if len(name) <= LONGEST_CHANNEL:
            return self.queue_table
        ending = f"_{hashlib.sha256(name).hexdigest()[:16]}"
        return name[: LONGEST_CHANNEL - len(ending)].decode(errors="ignore") + ending

    def relations(self) -> list[str]:
        """The tables, their indexes and the sequence; no name may be there twice."""
        kinds = ("workers", "paused", "migrations")
        tables = [self.queue_table, *(f"{self.queue_table}_{kind}" for kind in kinds)]
        tables.append(self.dead_letter_table)
        endings = (self.queue_table + "_due", self.queue_table + "_seq_seq")
        keys = [f"{table}_pkey" for table in tables]
        return [*tables, *keys, *endings, self.dead_letter_table + "_died"]


def _quoted(name: str) -> str:
    return ".".join(f'"{part}"' for part in name.split("."))


def _bare(name: str) -> str:
    return name.rpartition(".")[2]
