"""Which dead messages are meant: by id, by filters, or all."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import rich_click as click

from asynctasq import Config
from asynctasq.drivers import State, StoredMessage
from asynctasq_cli.browse import View
from asynctasq_cli.decode import task_in
from asynctasq_cli.durations import DURATION
from asynctasq_cli.output import printable

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Filters:
    """What a message has to be; ages in seconds since it died."""

    queue: str | None = None
    task: str | None = None
    error: str | None = None
    older_than: float | None = None
    newer_than: float | None = None

    def given(self) -> bool:
        """Whether there is a filter at all."""
        return self != Filters()

    def match(self, config: Config, message: StoredMessage) -> bool:
        """Whether a message of the right queue passes; what is costly is looked at last."""
        if self.older_than is not None and message.seconds <= self.older_than:
            return False
        if self.newer_than is not None and message.seconds >= self.newer_than:
            return False
        if self.error is not None and self.error not in error_of(message):
            return False
        return self.task is None or task_in(config, message) == self.task


def filter_options(command: Command) -> Command:
    """Give a command the filters as options; `take_filters` reads them."""
    for option in (
        click.option("--newer-than", type=DURATION, help="Died at most so long ago: 10m, 2h."),
        click.option("--older-than", type=DURATION, help="Died at least so long ago: 30s, 1d."),
        click.option("--error", metavar="TEXT", help="Part of the error's first line."),
        click.option("--name", metavar="TASK", help="Only of this task."),
        click.option("--queue", help="Only of this queue."),
    ):
        command = option(command)
    return command


def take_filters(options: dict[str, Any]) -> Filters:
    """The filters among the options, which are taken out."""
    return Filters(
        queue=options.pop("queue"),
        task=options.pop("name"),
        error=options.pop("error"),
        older_than=options.pop("older_than"),
        newer_than=options.pop("newer_than"),
    )


def check_choice(ids: Sequence[str], filters: Filters, everything: bool) -> None:
    """Refuse a choice that says nothing, or two things; raises a usage error."""
    if ids and (everything or filters != Filters(queue=filters.queue)):
        raise click.UsageError("name the ids, or give filters or --all, not both")
    if not ids and not everything and not filters.given():
        raise click.UsageError("name the ids, give a filter such as --name, or say --all")


async def choose(
    view: View, ids: Sequence[str], filters: Filters, *, bodies: bool
) -> list[StoredMessage]:
    """The dead messages that are meant, all of them before any is touched.

    So what dies again or anew meanwhile is not among them. An id that is not dead is an error.
    Without `bodies` those are empty, as there may be very many.
    """
    if ids:
        return await find_dead(view, list(dict.fromkeys(ids)), filters.queue)
    return await matching(view, filters, bodies=bodies)


async def matching(
    view: View, filters: Filters, *, limit: int | None = None, bodies: bool = True
) -> list[StoredMessage]:
    """The dead messages that pass, the latest first, and no more than `limit` of them."""
    found: list[StoredMessage] = []
    wanted = limit if filters == Filters(queue=filters.queue) else None
    for queue in await view.names(filters.queue):
        async with aclosing(view.messages(queue, State.DEAD, wanted=wanted)) as messages:
            here: list[StoredMessage] = []
            async for message in messages:
                if filters.match(view.config, message):
                    here.append(message if bodies else replace(message, body=b""))
                if len(here) == limit:
                    break
        found += here
    found.sort(key=lambda message: message.seconds)
    return found[:limit]


async def find_dead(view: View, ids: Sequence[str], queue: str | None) -> list[StoredMessage]:
    """The dead messages with these ids; an error if one is not among them."""
    found = [one for one in await view.find(ids, queue) if one.state is State.DEAD]
    missing = [printable(one) for one in ids if one not in {message.id for message in found}]
    if missing:
        raise click.ClickException(f"not among the dead: {', '.join(missing)}")
    return found


def error_of(message: StoredMessage) -> str:
    """The first line of a message's note."""
    return message.note.partition("\n")[0]
