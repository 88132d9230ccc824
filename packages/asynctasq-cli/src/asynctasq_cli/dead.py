"""``asynctasq dead``: look at messages that were given up, and bring them back."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import rich_click as click

from asynctasq import Config
from asynctasq.drivers import Inspector, StoredMessage
from asynctasq_cli.browse import View, with_view
from asynctasq_cli.decode import call_in, task_in
from asynctasq_cli.options import config_options, make_config
from asynctasq_cli.output import print_details, print_json, print_rows
from asynctasq_cli.selection import (
    check_choice,
    choose,
    error_of,
    filter_options,
    find_dead,
    matching,
    take_filters,
)


@click.group()
def dead() -> None:
    """Messages that were given up, with their errors."""


@dead.command("list")
@filter_options
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@config_options
def list_dead(limit: int, as_json: bool, **options: Any) -> None:
    """List dead messages, the latest first.

    \b
    asynctasq dead list --queue emails --newer-than 10m
    asynctasq dead list --name shop:send --error "Connection refused"
    """
    filters = take_filters(options)
    config = make_config(options)
    messages = with_view(config, lambda view: matching(view, filters, limit=limit))
    rows = [_summary(config, message) for message in messages]
    print_rows(rows, as_json=as_json, empty="nothing is dead")


@dead.command()
@click.argument("message_id")
@click.option("--queue", help="The queue it is on, if you know.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_options
def show(message_id: str, queue: str | None, as_json: bool, **options: Any) -> None:
    """Show one dead message: arguments, error and traceback."""
    config = make_config(options)
    (message, *_) = with_view(config, lambda view: find_dead(view, [message_id], queue))
    details = {**_summary(config, message), **call_in(config, message), "note": message.note}
    print_details(details, as_json=as_json)


@dead.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead messages.")
@filter_options
@click.option("--dry-run", is_flag=True, help="Show which, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of ids.")
@config_options
def requeue(**options: Any) -> None:
    """Make dead messages deliverable again, as if new.

    \b
    asynctasq dead requeue 0198c0de 0198c0df
    asynctasq dead requeue --queue emails --error "Connection refused" --dry-run
    """

    async def change(looking: Inspector, name: str, chosen: Sequence[str]) -> Sequence[str]:
        return await looking.requeue(name, chosen)

    _put_right(options, _Action("requeued", change))


@dead.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead messages.")
@filter_options
@click.option("--dry-run", is_flag=True, help="Show which, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of ids.")
@config_options
def purge(yes: bool, **options: Any) -> None:
    """Remove dead messages for good.

    \b
    asynctasq dead purge --older-than 7d
    asynctasq dead purge --all --yes
    """

    async def change(looking: Inspector, name: str, chosen: Sequence[str]) -> Sequence[str]:
        return await looking.delete(name, chosen)

    _put_right(options, _Action("removed", change, asks=not yes))


def confirm_removal(*, yes: bool) -> None:
    """Ask on a terminal whether to go on; raises a click error if not."""
    if not yes and sys.stdin.isatty() and not click.confirm("Remove them for good?", err=True):
        raise click.ClickException("nothing was removed")


@dataclass(frozen=True, slots=True)
class _Action:
    """What to do with the chosen messages of one queue, and the word for it done."""

    done: str
    change: Callable[[Inspector, str, Sequence[str]], Awaitable[Sequence[str]]]
    asks: bool = False


def _put_right(options: dict[str, Any], action: _Action) -> None:
    filters = take_filters(options)
    ids: Sequence[str] = options["ids"]
    check_choice(ids, filters, options["everything"])
    dry, as_json = options["dry_run"], options["as_json"]
    confirm_removal(yes=dry or not action.asks)
    config = make_config(options)

    async def work(view: View) -> list[str] | list[StoredMessage]:
        chosen = await choose(view, ids, filters, bodies=dry)
        return chosen if dry else await _change(view, chosen, action)

    _report(config, with_view(config, work), action.done, as_json)


async def _change(view: View, messages: Sequence[StoredMessage], action: _Action) -> list[str]:
    changed: list[str] = []
    for name in dict.fromkeys(message.queue for message in messages):
        # the longest dead first, as they were first to be done
        ids = [message.id for message in reversed(messages) if message.queue == name]
        for start in range(0, len(ids), view.page):
            part = ids[start : start + view.page]
            changed += await action.change(view.inspector, name, part)
    return changed


def _report(
    config: Config, result: Sequence[str] | Sequence[StoredMessage], done: str, as_json: bool
) -> None:
    chosen = [one for one in result if isinstance(one, StoredMessage)]
    if as_json:
        print_json([one.id if isinstance(one, StoredMessage) else one for one in result])
    elif chosen:
        print_rows([_summary(config, message) for message in chosen], as_json=False)
        click.echo(f"{len(chosen)} would be {done}")
    else:
        click.echo(f"{len(result)} {done}")


def _summary(config: Config, message: StoredMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "queue": message.queue,
        "task": task_in(config, message),
        "attempts": message.attempt,
        "died": round(message.seconds, 1),
        "error": error_of(message),
    }
