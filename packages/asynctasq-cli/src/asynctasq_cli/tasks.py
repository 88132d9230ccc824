"""``asynctasq tasks``: lists and shows messages, in every state the broker can show."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import rich_click as click

from asynctasq import Config
from asynctasq.drivers import State, StoredMessage
from asynctasq_cli.browse import MessageBrowser, with_browser
from asynctasq_cli.connection import cannot
from asynctasq_cli.decode import call_in, task_in
from asynctasq_cli.options import config_options, make_config
from asynctasq_cli.output import print_details, print_rows, printable

#: Order of the states in a list.
_ORDER = (State.RUNNING, State.READY, State.DELAYED, State.DEAD)


@click.group()
def tasks() -> None:
    """Inspect messages: waiting, running and dead."""


@tasks.command("list")
@click.option("--queue", help="Only of this queue.")
@click.option("--state", type=click.Choice([state.value for state in State]),
              help="Only messages in this state.")  # fmt: skip
@click.option("--name", metavar="TASK", help="Only of this task.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@click.option("--offset", type=click.IntRange(0), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@config_options
def list_tasks(state: str | None, as_json: bool, **options: Any) -> None:
    """List the messages of each queue: running, ready, delayed, then dead.

    The column seconds is the time until a delayed message is due or a running message's lease
    ends, and since a ready message became deliverable or a dead message died.

    \b
    asynctasq tasks list --queue emails --state running
    asynctasq tasks list --name shop:send --limit 20 --offset 40
    """
    config = make_config(options)
    chosen = None if state is None else State(state)
    messages = with_browser(config, lambda browser: _page(browser, chosen, options))
    rows = [_summary(config, message) for message in messages]
    print_rows(rows, as_json=as_json, empty="no such message")


@tasks.command()
@click.argument("message_id")
@click.option("--queue", help="Queue of the message, if known.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_options
def show(message_id: str, queue: str | None, as_json: bool, **options: Any) -> None:
    """Show a message: its state, arguments, attempts, and its error if it is dead.

    \b
    asynctasq tasks show 0198c0de
    """
    config = make_config(options)
    message = with_browser(config, lambda browser: _find(browser, message_id, queue))
    details = {**_summary(config, message), **call_in(config, message), "note": message.note}
    print_details(details, as_json=as_json)


async def _page(
    browser: MessageBrowser, state: State | None, options: dict[str, Any]
) -> Sequence[StoredMessage]:
    _check_shows(browser, state)
    limit, skip, name = options["limit"], options["offset"], options["name"]
    found: list[StoredMessage] = []
    wanted = limit + skip if name is None else None
    async with aclosing(_all(browser, options["queue"], state, wanted)) as messages:
        async for message in messages:
            if name is not None and task_in(browser.config, message) != name:
                continue
            if skip:
                skip -= 1
                continue
            found.append(message)
            if len(found) == limit:
                break
    return found


async def _all(
    browser: MessageBrowser, queue: str | None, state: State | None, wanted: int | None
) -> AsyncGenerator[StoredMessage, None]:
    states = [known for known in _ORDER if browser.shows(known)] if state is None else [state]
    for name in await browser.names(queue):
        for listed in states:
            async with aclosing(browser.messages(name, listed, wanted=wanted)) as messages:
                async for message in messages:
                    yield message


async def _find(browser: MessageBrowser, message_id: str, queue: str | None) -> StoredMessage:
    found = await browser.find([message_id], queue)
    if found:
        return found[0]
    if browser.scans_everything:
        raise cannot(
            browser.config,
            f"find {printable(message_id)}: it shows only dead messages, and this is none",
        )
    raise click.ClickException(f"no message with the id {printable(message_id)}")


def _check_shows(browser: MessageBrowser, state: State | None) -> None:
    if state is None and browser.scans_everything:
        raise cannot(browser.config, "list messages other than dead ones (--state dead)")
    if state is not None and not browser.shows(state):
        raise cannot(browser.config, f"list {state.value} messages")


def _summary(config: Config, message: StoredMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "queue": message.queue,
        "task": task_in(config, message),
        "state": message.state.value,
        "attempts": message.attempt,
        "seconds": round(message.seconds, 1),
    }
