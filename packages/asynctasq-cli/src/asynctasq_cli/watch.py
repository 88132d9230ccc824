"""Polls the queues for ``queues --watch``, and keeps polling while the broker is away."""

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
ReadRows = Callable[[BaseDriver], Awaitable[Rows]]


@dataclass(frozen=True, slots=True)
class PollResult:
    """The result of one poll; with a `problem`, `rows` are those of the last successful poll."""

    time: float
    rows: Rows
    problem: str | None = None


async def watch(config: Config, read_rows: ReadRows, *, every: float, as_json: bool) -> None:
    """Show the result of `read_rows` every `every` seconds, until cancelled.

    Raises `BrokerUnavailable` if the broker is away at the start.
    """
    async with connected(config) as driver:
        rows = await read_rows(driver)
        with _screen(as_json) as show:
            show(PollResult(time.time(), _with_change(rows, None)))
            while True:
                await asyncio.sleep(every)
                before = rows
                try:
                    rows = await read_rows(driver)
                except BrokerUnavailable as error:
                    show(PollResult(time.time(), _with_change(rows, None), str(error)))
                else:
                    show(PollResult(time.time(), _with_change(rows, before)))


def _with_change(rows: Rows, before: Rows | None) -> Rows:
    """Add the change of unfinished messages since `before` to each row."""
    known = None if before is None else {row["queue"]: _unfinished(row) for row in before}
    return [
        {**row, "change": None if known is None else _unfinished(row) - known.get(row["queue"], 0)}
        for row in rows
    ]


def _unfinished(row: dict[str, Any]) -> int:
    return sum(row[state] or 0 for state in ("ready", "delayed", "running"))


@contextmanager
def _screen(as_json: bool) -> Generator[Callable[[PollResult], None], None, None]:
    if as_json:
        yield _print_line
    elif not sys.stdout.isatty():
        yield lambda result: console().print(_picture(result))
    else:
        with Live(console=console(), auto_refresh=False) as live:
            yield lambda result: live.update(_picture(result), refresh=True)


def _print_line(result: PollResult) -> None:
    found = {"queues": result.rows} if result.problem is None else {"problem": result.problem}
    click.echo(json.dumps({"time": result.time, **found}, ensure_ascii=True))


def _picture(result: PollResult) -> Group:
    clock = time.strftime("%H:%M:%S", time.localtime(result.time))
    status = clock if result.problem is None else f"{clock}  {result.problem}; retrying"
    rows = [_readable(row) for row in result.rows]
    content = table_of(rows) if rows else Text("no queue holds a message")
    style = "" if result.problem is None else "red"
    return Group(content, Text(printable(status), style=style))


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    change = row["change"]
    return {**readable(row), "change": None if change is None else f"{change:+d}"}


def readable(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of counts with words instead of booleans."""
    words = {True: "yes", False: "no", None: None}
    return {**row, "paused": words[row["paused"]]}
