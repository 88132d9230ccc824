"""The cost of each fault on each driver, as the table at the end of the run."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import pytest

#: The name under which a test's row travels in its report, also between processes.
PROPERTY = "fault"
HEAD = ("fault", "driver", "tasks", "lost", "twice", "dead", "back after")


@dataclass(frozen=True, slots=True)
class Row:
    """The cost of one fault on one driver.

    Attributes:
        tasks: that were dispatched.
        lost: that never ran to their end, and are not dead either.
        twice: runs beyond the first that the fault caused.
        dead: messages that were given up.
        recovery: seconds from the end of the fault to the next task that ran; None where nothing
            had stopped.
    """

    fault: str
    driver: str
    tasks: int
    lost: int
    twice: int
    dead: int
    recovery: float | None

    def cells(self) -> tuple[str, ...]:
        """The rows of the table."""
        back = "-" if self.recovery is None else f"{self.recovery:.1f} s"
        numbers = (self.tasks, self.lost, self.twice, self.dead)
        return (self.fault, self.driver, *(f"{n:,}" for n in numbers), back)


def attach(node: pytest.Item, row: Row) -> None:
    """Let a row travel with the report of a test."""
    node.user_properties.append((PROPERTY, asdict(row)))


def rows(reports: Iterable[object]) -> list[Row]:
    """The rows that came with these reports, by fault and driver."""
    found = [
        Row(**value)
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in getattr(report, "user_properties", ())
        if name == PROPERTY
    ]
    return sorted(found, key=lambda row: (row.fault, row.driver))


def markdown(table: Sequence[Row]) -> str:
    """The rows as a table that reads well on a terminal, too."""
    lines = [HEAD, *(row.cells() for row in table)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    padded = [
        [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    ]
    rule = [
        "-" * width if column < 2 else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in [padded[0], rule, *padded[1:]])
