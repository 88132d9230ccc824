"""``asynctasq dead``: look at messages that were given up, and bring them back."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import rich_click as click

from asynctasq import Config, run
from asynctasq.drivers import Inspector, State, StoredMessage
from asynctasq_cli.broker import chosen_queues, connected, inspector
from asynctasq_cli.calls import call_in
from asynctasq_cli.options import config_options, make_config
from asynctasq_cli.output import print_json, print_rows, printable

T = TypeVar("T")
PAGE = 500


@click.group()
def dead() -> None:
    """Messages that were given up, with their errors."""


@dead.command("list")
@click.option("--queue", help="Only this queue.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@config_options
def list_dead(queue: str | None, limit: int, as_json: bool, **options: Any) -> None:
    """List dead messages, the latest first."""
    config = make_config(options)
    messages = _look(config, lambda looking: _all_dead(looking, queue, limit))
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
    (message,) = _look(config, lambda looking: _find(looking, queue, [message_id]))
    details = {**_summary(config, message), **call_in(config, message), "note": message.note}
    if as_json:
        print_json(details)
    else:
        for name, value in details.items():
            click.echo(f"{name + ':':<14}{printable(value)}")


@dead.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead messages.")
@click.option("--queue", help="Only of this queue.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of ids.")
@config_options
def requeue(
    ids: tuple[str, ...], everything: bool, queue: str | None, as_json: bool, **options: Any
) -> None:
    """Make dead messages deliverable again, as if new."""
    _check_choice(ids, everything)

    async def change(looking: Inspector, name: str, chosen: Sequence[str]) -> Sequence[str]:
        return await looking.requeue(name, chosen)

    changed = _look(make_config(options), lambda one: _apply(one, queue, ids, change))
    _report(changed, "requeued", as_json)


@dead.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead messages.")
@click.option("--queue", help="Only of this queue.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of ids.")
@config_options
def purge(
    ids: tuple[str, ...],
    everything: bool,
    queue: str | None,
    yes: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Remove dead messages for good."""
    _check_choice(ids, everything)
    if not yes and sys.stdin.isatty() and not click.confirm("Remove them for good?", err=True):
        raise click.ClickException("nothing was removed")

    async def change(looking: Inspector, name: str, chosen: Sequence[str]) -> Sequence[str]:
        return await looking.delete(name, chosen)

    changed = _look(make_config(options), lambda one: _apply(one, queue, ids, change))
    _report(changed, "removed", as_json)


def _look(config: Config, work: Callable[[Inspector], Awaitable[T]]) -> T:
    async def main() -> T:
        async with connected(config) as driver:
            return await work(inspector(driver, config))

    return run(main())


async def _all_dead(looking: Inspector, queue: str | None, limit: int) -> list[StoredMessage]:
    found: list[StoredMessage] = []
    for stats in await chosen_queues(looking, queue):
        offset = 0
        while offset < limit:
            step = min(PAGE, limit - offset)
            page = await looking.browse(stats.queue, State.DEAD, limit=step, offset=offset)
            if not page:
                break
            found += page
            offset += len(page)
    found.sort(key=lambda message: message.seconds)
    return found[:limit]


async def _find(looking: Inspector, queue: str | None, ids: Sequence[str]) -> list[StoredMessage]:
    """The dead messages with these ids; a usage error if one is not among them."""
    found: dict[str, StoredMessage] = {}
    for stats in await chosen_queues(looking, queue):
        for message in await looking.find(stats.queue, ids):
            if message.state is State.DEAD:
                found[message.id] = message
    missing = [printable(one) for one in ids if one not in found]
    if missing:
        raise click.ClickException(f"not among the dead: {', '.join(missing)}")
    return [found[one] for one in ids]


Change = Callable[[Inspector, str, Sequence[str]], Awaitable[Sequence[str]]]


async def _apply(
    looking: Inspector, queue: str | None, ids: Sequence[str], change: Change
) -> list[str]:
    if not ids:
        return await _apply_to_all(looking, queue, change)
    messages = await _find(looking, queue, list(dict.fromkeys(ids)))
    changed: list[str] = []
    for name in dict.fromkeys(message.queue for message in messages):
        chosen = [message.id for message in messages if message.queue == name]
        changed += await change(looking, name, chosen)
    return changed


async def _apply_to_all(looking: Inspector, queue: str | None, change: Change) -> list[str]:
    """Change page by page, and no more than there were: some may die again meanwhile."""
    changed: list[str] = []
    for stats in await chosen_queues(looking, queue):
        left, offset = stats.dead, 0
        while left > 0:
            step = min(PAGE, left)
            page = await looking.browse(stats.queue, State.DEAD, limit=step, offset=offset)
            if not page:
                break
            done = await change(looking, stats.queue, [message.id for message in page])
            changed += done
            left -= len(page)
            offset += len(page) - len(done)
    return changed


def _check_choice(ids: Sequence[str], everything: bool) -> None:
    if bool(ids) == everything:
        raise click.UsageError("name the ids, or say --all")


def _report(ids: Sequence[str], done: str, as_json: bool) -> None:
    if as_json:
        print_json(ids)
    else:
        click.echo(f"{len(ids)} {done}")


def _summary(config: Config, message: StoredMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "queue": message.queue,
        "task": call_in(config, message)["task"],
        "attempts": message.attempt,
        "died": round(message.seconds, 1),
        "error": message.note.partition("\n")[0],
    }
