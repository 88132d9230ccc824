"""Looks at the queues again and again, and goes on when the broker goes away and comes back."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import rich_click as click
from rich.console import Group
from rich.live import Live
from rich.text import Text

from asynctasq import Config
from asynctasq.drivers import BaseDriver
from asynctasq.errors import BrokerUnavailable
from asynctasq_cli.connection import connected
from asynctasq_cli.output import console, printable, table_of

Rows = Sequence[dict[str, Any]]
Look = Callable[[BaseDriver], Awaitable[Rows]]


@dataclass(frozen=True, slots=True)
class Sight:
    """What came of one look; with a `problem`, `rows` are those of the last that went well."""

    time: float
    rows: Rows
    problem: str | None = None


async def watch(config: Config, look: Look, *, every: float, as_json: bool) -> None:
    """Show what `look` returns, every so many seconds, until cancelled.

    Raises `BrokerUnavailable` when the broker is not there at the beginning.
    """
    async with connected(config) as driver:
        rows = await look(driver)
        with _screen(as_json) as show:
            show(Sight(time.time(), _with_change(rows, None)))
            while True:
                await asyncio.sleep(every)
                before = rows
                try:
                    rows = await look(driver)
                except BrokerUnavailable as error:
                    show(Sight(time.time(), _with_change(rows, None), str(error)))
                else:
                    show(Sight(time.time(), _with_change(rows, before)))


def _with_change(rows: Rows, before: Rows | None) -> Rows:
    """Rows with the change of what is unfinished since `before`."""
    known = None if before is None else {row["queue"]: _unfinished(row) for row in before}
    return [
        {**row, "change": None if known is None else _unfinished(row) - known.get(row["queue"], 0)}
        for row in rows
    ]


def _unfinished(row: dict[str, Any]) -> int:
    return sum(row[state] or 0 for state in ("ready", "delayed", "running"))


@contextmanager
def _screen(as_json: bool) -> Generator[Callable[[Sight], None], None, None]:
    if as_json:
        yield _print_line
    elif not sys.stdout.isatty():
        yield lambda sight: console().print(_picture(sight))
    else:
        with Live(console=console(), auto_refresh=False) as live:
            yield lambda sight: live.update(_picture(sight), refresh=True)


def _print_line(sight: Sight) -> None:
    found = {"queues": sight.rows} if sight.problem is None else {"problem": sight.problem}
    click.echo(json.dumps({"time": sight.time, **found}, ensure_ascii=True))


def _picture(sight: Sight) -> Group:
    clock = time.strftime("%H:%M:%S", time.localtime(sight.time))
    status = clock if sight.problem is None else f"{clock}  {sight.problem}; trying again"
    rows = [_readable(row) for row in sight.rows]
    content = table_of(rows) if rows else Text("no queue holds a message")
    style = "" if sight.problem is None else "red"
    return Group(content, Text(printable(status), style=style))


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    change = row["change"]
    return {**readable(row), "change": None if change is None else f"{change:+d}"}


def readable(row: dict[str, Any]) -> dict[str, Any]:
    """A row of counts for people."""
    words = {True: "yes", False: "no", None: None}
    return {**row, "paused": words[row["paused"]]}
