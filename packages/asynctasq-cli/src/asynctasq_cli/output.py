"""Prints results: tables for people, JSON for machines; control characters are escaped."""

import json
import sys
from collections.abc import Sequence
from typing import Any, cast

import rich_click as click
from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_rows(
    rows: Sequence[dict[str, Any]], *, as_json: bool, title: str = "", empty: str = "no results"
) -> None:
    """Print objects as a JSON list, or as a table with a column for each key."""
    if as_json:
        print_json(rows)
    elif not rows:
        click.echo(empty)
    else:
        console().print(table_of(rows, title=title))


def table_of(rows: Sequence[dict[str, Any]], *, title: str = "") -> Table:
    """Make a table with a column for each key; `rows` must not be empty."""
    table = Table(title=title or None, title_justify="left")
    for key, value in rows[0].items():
        table.add_column(key, justify="right" if isinstance(value, (int, float)) else "left")
    for row in rows:
        table.add_row(*(Text(printable(value)) for value in row.values()))
    return table


def print_details(details: dict[str, Any], *, as_json: bool) -> None:
    """Print an object as JSON, or as a line for each key."""
    if as_json:
        print_json(details)
    else:
        for name, value in details.items():
            click.echo(f"{name + ':':<16}{printable(value)}")


def print_json(value: object) -> None:
    """Print a value as JSON on standard output; keys JSON does not support are printed by repr."""
    try:
        text = json.dumps(value, indent=2, default=str, ensure_ascii=True)
    except TypeError:
        text = json.dumps(_with_keys(value), indent=2, default=str, ensure_ascii=True)
    click.echo(text)


def _with_keys(value: Any) -> Any:
    if isinstance(value, dict):
        pairs = cast(dict[object, Any], value).items()
        return {k if isinstance(k, str) else repr(k): _with_keys(v) for k, v in pairs}
    if isinstance(value, (list, tuple)):
        return [_with_keys(item) for item in cast(Sequence[Any], value)]
    return value


def printable(value: object) -> str:
    """Return a value as text that cannot control a terminal."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}"
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in str(value))


def console() -> Console:
    """Return a console on standard output; 200 columns wide if that is no terminal."""
    return Console() if sys.stdout.isatty() else Console(width=200)
