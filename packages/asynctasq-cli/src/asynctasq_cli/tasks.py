"""``asynctasq tasks``: the messages of a queue, in every state the broker shows."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import rich_click as click

from asynctasq import Config
from asynctasq.drivers import State, StoredMessage
from asynctasq_cli.browse import View, with_view
from asynctasq_cli.connection import cannot
from asynctasq_cli.decode import call_in, task_in
from asynctasq_cli.options import config_options, make_config
from asynctasq_cli.output import print_details, print_rows, printable

#: What runs is looked at first, and what can wait last.
_ORDER = (State.RUNNING, State.READY, State.DELAYED, State.DEAD)


@click.group()
def tasks() -> None:
    """Single messages: waiting, running and dead ones."""


@tasks.command("list")
@click.option("--queue", help="Only of this queue.")
@click.option("--state", type=click.Choice([state.value for state in State]),
              help="Only in this state.")  # fmt: skip
@click.option("--name", metavar="TASK", help="Only of this task.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@click.option("--offset", type=click.IntRange(0), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@config_options
def list_tasks(state: str | None, as_json: bool, **options: Any) -> None:
    """List messages: running, ready, delayed, then dead ones of each queue.

    The seconds are those until a delayed one is due, until a running one's lease ends, and since
    a ready one became deliverable or a dead one died.

    \b
    asynctasq tasks list --queue emails --state running
    asynctasq tasks list --name shop:send --limit 20 --offset 40
    """
    config = make_config(options)
    chosen = None if state is None else State(state)
    messages = with_view(config, lambda view: _page(view, chosen, options))
    rows = [_summary(config, message) for message in messages]
    print_rows(rows, as_json=as_json, empty="there is no such message")


@tasks.command()
@click.argument("message_id")
@click.option("--queue", help="The queue it is on, if you know.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_options
def show(message_id: str, queue: str | None, as_json: bool, **options: Any) -> None:
    """Show one message: its state, arguments, attempts, and its error if it is dead.

    \b
    asynctasq tasks show 0198c0de
    """
    config = make_config(options)
    message = with_view(config, lambda view: _find(view, message_id, queue))
    details = {**_summary(config, message), **call_in(config, message), "note": message.note}
    print_details(details, as_json=as_json)


async def _page(
    view: View, state: State | None, options: dict[str, Any]
) -> Sequence[StoredMessage]:
    _check_shows(view, state)
    limit, skip, name = options["limit"], options["offset"], options["name"]
    found: list[StoredMessage] = []
    wanted = limit + skip if name is None else None
    async with aclosing(_all(view, options["queue"], state, wanted)) as messages:
        async for message in messages:
            if name is not None and task_in(view.config, message) != name:
                continue
            if skip:
                skip -= 1
                continue
            found.append(message)
            if len(found) == limit:
                break
    return found


async def _all(
    view: View, queue: str | None, state: State | None, wanted: int | None
) -> AsyncGenerator[StoredMessage, None]:
    states = [one for one in _ORDER if view.shows(one)] if state is None else [state]
    for name in await view.names(queue):
        for one in states:
            async with aclosing(view.messages(name, one, wanted=wanted)) as messages:
                async for message in messages:
                    yield message


async def _find(view: View, message_id: str, queue: str | None) -> StoredMessage:
    found = await view.find([message_id], queue)
    if found:
        return found[0]
    if view.whole:
        raise cannot(
            view.config,
            f"find {printable(message_id)}: it is not dead, and others cannot be looked at",
        )
    raise click.ClickException(f"no message has the id {printable(message_id)}")


def _check_shows(view: View, state: State | None) -> None:
    if state is None and view.whole:
        raise cannot(view.config, "list messages other than dead ones (--state dead)")
    if state is not None and not view.shows(state):
        raise cannot(view.config, f"list {state.value} messages")


def _summary(config: Config, message: StoredMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "queue": message.queue,
        "task": task_in(config, message),
        "state": message.state.value,
        "attempts": message.attempt,
        "seconds": round(message.seconds, 1),
    }
