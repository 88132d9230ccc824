"""Selects dead messages: by id, by filters, or all."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import rich_click as click

from asynctasq import Config
from asynctasq.drivers import State, StoredMessage
from asynctasq_cli.browse import MessageBrowser
from asynctasq_cli.decode import task_in
from asynctasq_cli.durations import DURATION
from asynctasq_cli.output import printable

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions a dead message must meet; ages are in seconds since it died."""

    queue: str | None = None
    task: str | None = None
    error: str | None = None
    older_than: float | None = None
    newer_than: float | None = None

    def given(self) -> bool:
        """Whether any filter is set."""
        return self != Filters()

    def match(self, config: Config, message: StoredMessage) -> bool:
        """Whether a message of the right queue matches; decodes its body only if needed."""
        if self.older_than is not None and message.seconds <= self.older_than:
            return False
        if self.newer_than is not None and message.seconds >= self.newer_than:
            return False
        if self.error is not None and self.error not in error_of(message):
            return False
        return self.task is None or task_in(config, message) == self.task


def filter_options(command: Command) -> Command:
    """Add the filters as options to a command; `take_filters` reads them."""
    for option in (
        click.option("--newer-than", type=DURATION, help="Died more recently than this: 10m, 2h."),
        click.option("--older-than", type=DURATION, help="Died longer ago than this: 30s, 1d."),
        click.option("--error", metavar="TEXT", help="Part of the error's first line."),
        click.option("--name", metavar="TASK", help="Only of this task."),
        click.option("--queue", help="Only of this queue."),
    ):
        command = option(command)
    return command


def take_filters(options: dict[str, Any]) -> Filters:
    """Remove the filters from the options and return them."""
    return Filters(
        queue=options.pop("queue"),
        task=options.pop("name"),
        error=options.pop("error"),
        older_than=options.pop("older_than"),
        newer_than=options.pop("newer_than"),
    )


def check_choice(ids: Sequence[str], filters: Filters, everything: bool) -> None:
    """Raise a usage error if the choice is empty or ambiguous."""
    if ids and (everything or filters != Filters(queue=filters.queue)):
        raise click.UsageError("name the ids, or give filters or --all, not both")
    if not ids and not everything and not filters.given():
        raise click.UsageError("name the ids, give a filter such as --name, or use --all")


async def choose(
    browser: MessageBrowser, ids: Sequence[str], filters: Filters, *, bodies: bool
) -> list[StoredMessage]:
    """Return all chosen dead messages before any is changed.

    So messages that die meanwhile are not among them. An id that is not dead is an error.
    Without `bodies`, bodies are dropped to save memory.
    """
    if ids:
        return await find_dead(browser, list(dict.fromkeys(ids)), filters.queue)
    return await matching(browser, filters, bodies=bodies)


async def matching(
    browser: MessageBrowser, filters: Filters, *, limit: int | None = None, bodies: bool = True
) -> list[StoredMessage]:
    """Return at most `limit` matching dead messages, latest first."""
    found: list[StoredMessage] = []
    wanted = limit if filters == Filters(queue=filters.queue) else None
    for queue in await browser.names(filters.queue):
        async with aclosing(browser.messages(queue, State.DEAD, wanted=wanted)) as messages:
            here: list[StoredMessage] = []
            async for message in messages:
                if filters.match(browser.config, message):
                    here.append(message if bodies else replace(message, body=b""))
                if len(here) == limit:
                    break
        found += here
    found.sort(key=lambda message: message.seconds)
    return found[:limit]


async def find_dead(
    browser: MessageBrowser, ids: Sequence[str], queue: str | None
) -> list[StoredMessage]:
    """Return the dead messages with these ids; raises a click error if one is missing."""
    found = [message for message in await browser.find(ids, queue) if message.state is State.DEAD]
    known = {message.id for message in found}
    missing = [printable(message_id) for message_id in ids if message_id not in known]
    if missing:
        raise click.ClickException(f"no dead message with the id: {', '.join(missing)}")
    return found


def error_of(message: StoredMessage) -> str:
    """Return the first line of a message's note."""
    return message.note.partition("\n")[0]
