"""Tables and text of generated pages, as Markdown."""

from collections.abc import Iterable, Sequence

MADE = "<!-- Made by `just reference`; change the code it is made from. -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table."""
    lines = [_row(head), "|" + "---|" * len(head)]
    return [*lines, *map(_row, rows)]


def page(*blocks: Iterable[str]) -> str:
    """A page of these blocks of lines, with an empty line between any two."""
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _row(cells: Sequence[str]) -> str:
    shown = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
    return "| " + " | ".join(shown) + " |"
