"""``asynctasq dead``: shows, requeues and removes dead messages."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import rich_click as click

from asynctasq import Config
from asynctasq.drivers import Inspector, StoredMessage
from asynctasq_cli.browse import MessageBrowser, with_browser
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
    """Inspect, requeue and remove dead messages."""


@dead.command("list")
@filter_options
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@config_options
def list_dead(limit: int, as_json: bool, **options: Any) -> None:
    """List dead messages, latest first.

    \b
    asynctasq dead list --queue emails --newer-than 10m
    asynctasq dead list --name shop:send --error "Connection refused"
    """
    filters = take_filters(options)
    config = make_config(options)
    messages = with_browser(config, lambda browser: matching(browser, filters, limit=limit))
    rows = [_summary(config, message) for message in messages]
    print_rows(rows, as_json=as_json, empty="no dead messages")


@dead.command()
@click.argument("message_id")
@click.option("--queue", help="Queue of the message, if known.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_options
def show(message_id: str, queue: str | None, as_json: bool, **options: Any) -> None:
    """Show a dead message: arguments, error and traceback."""
    config = make_config(options)
    (message, *_) = with_browser(config, lambda browser: find_dead(browser, [message_id], queue))
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
    """Make dead messages deliverable again, with no attempts counted.

    \b
    asynctasq dead requeue 0198c0de 0198c0df
    asynctasq dead requeue --queue emails --error "Connection refused" --dry-run
    """

    async def change(inspector: Inspector, name: str, chosen: Sequence[str]) -> Sequence[str]:
        return await inspector.requeue(name, chosen)

    _change_chosen(options, _Change("requeued", change))


@dead.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead messages.")
@filter_options
@click.option("--dry-run", is_flag=True, help="Show which, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of ids.")
@config_options
def purge(yes: bool, **options: Any) -> None:
    """Remove dead messages permanently.

    \b
    asynctasq dead purge --older-than 7d
    asynctasq dead purge --all --yes
    """

    async def change(inspector: Inspector, name: str, chosen: Sequence[str]) -> Sequence[str]:
        return await inspector.delete(name, chosen)

    _change_chosen(options, _Change("removed", change, asks=not yes))


def confirm_removal(*, yes: bool) -> None:
    """Ask for confirmation on a terminal; raises a click error if it is denied."""
    if not yes and sys.stdin.isatty() and not click.confirm("Remove them permanently?", err=True):
        raise click.ClickException("nothing was removed")


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of dead messages.

    Attributes:
        done: its past participle, for the report.
        apply: changes messages of one queue; returns the ids it has changed.
        asks: whether the user has to confirm it.
    """

    done: str
    apply: Callable[[Inspector, str, Sequence[str]], Awaitable[Sequence[str]]]
    asks: bool = False


def _change_chosen(options: dict[str, Any], change: _Change) -> None:
    filters = take_filters(options)
    ids: Sequence[str] = options["ids"]
    check_choice(ids, filters, options["everything"])
    dry, as_json = options["dry_run"], options["as_json"]
    confirm_removal(yes=dry or not change.asks)
    config = make_config(options)

    async def work(browser: MessageBrowser) -> list[str] | list[StoredMessage]:
        chosen = await choose(browser, ids, filters, bodies=dry)
        return chosen if dry else await _apply(browser, chosen, change)

    _report(config, with_browser(config, work), change.done, as_json)


async def _apply(
    browser: MessageBrowser, messages: Sequence[StoredMessage], change: _Change
) -> list[str]:
    changed: list[str] = []
    for name in dict.fromkeys(message.queue for message in messages):
        # oldest first, to keep the order in which they were dispatched
        ids = [message.id for message in reversed(messages) if message.queue == name]
        for start in range(0, len(ids), browser.page):
            part = ids[start : start + browser.page]
            changed += await change.apply(browser.inspector, name, part)
    return changed


def _report(
    config: Config, result: Sequence[str] | Sequence[StoredMessage], done: str, as_json: bool
) -> None:
    chosen = [item for item in result if isinstance(item, StoredMessage)]
    if as_json:
        print_json([item.id if isinstance(item, StoredMessage) else item for item in result])
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
