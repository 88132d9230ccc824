"""``asynctasq cancel``: removes waiting messages and revokes running ones."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

from collections.abc import Sequence
from typing import Any

import rich_click as click

from asynctasq.drivers import Control, State, StoredMessage
from asynctasq_cli.browse import MessageBrowser, with_browser
from asynctasq_cli.connection import cannot
from asynctasq_cli.options import config_options, make_config
from asynctasq_cli.output import print_json, printable

#: Tries to cancel a message that keeps changing its state.
ROUNDS = 5

#: Text of each outcome.
OUTCOMES = {
    "removed": "removed before it ran",
    "revoked": "revoked; its worker stops it within a third of its lease",
    "running": "is running, and was not cancelled",
    "moving": "keeps changing its state, and was not cancelled; try again",
    "dead": "is dead; remove it with: asynctasq dead purge",
    "unknown": "was not found: already done, or never stored",
}
SUCCESSES = ("removed", "revoked")


@click.command()
@click.argument("ids", nargs=-1, required=True)
@click.option("--queue", help="Queue of the messages, if known.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@config_options
def cancel(ids: tuple[str, ...], queue: str | None, as_json: bool, **options: Any) -> int:
    """Remove waiting messages, and stop running ones.

    Exits with 1 if a message was not cancelled; the others are cancelled nevertheless.

    \b
    asynctasq cancel 0198c0de
    asynctasq cancel 0198c0de 0198c0df --queue emails
    """
    config = make_config(options)
    outcomes = with_browser(
        config, lambda browser: cancel_messages(browser, list(dict.fromkeys(ids)), queue)
    )
    if as_json:
        print_json([{"id": key, "outcome": outcome} for key, outcome in outcomes.items()])
    failed = False
    for message_id, outcome in outcomes.items():
        failed |= outcome not in SUCCESSES
        text = f"{printable(message_id)} {OUTCOMES[outcome]}"
        if outcome not in SUCCESSES:
            hint = f" ({cannot(config, 'revoke running messages')})" if outcome == "running" else ""
            click.echo(f"error: {text}{hint}", err=True)
        elif not as_json:
            click.echo(text)
    return 1 if failed else 0


async def cancel_messages(
    browser: MessageBrowser, ids: Sequence[str], queue: str | None
) -> dict[str, str]:
    """Cancel waiting and running messages; return the outcome of each id, a key of `OUTCOMES`."""
    if browser.scans_everything:
        raise cannot(browser.config, "cancel single messages")
    outcomes = dict.fromkeys(ids, "unknown")
    left = list(ids)
    for _ in range(ROUNDS):
        found = await browser.find(left, queue)
        outcomes.update(dict.fromkeys(left, "unknown"))
        for name in dict.fromkeys(message.queue for message in found):
            here = [message for message in found if message.queue == name]
            outcomes.update(await _act(browser, name, here))
        left = [message_id for message_id in left if outcomes[message_id] == "moving"]
        if not left:
            break
    return outcomes


async def _act(
    browser: MessageBrowser, queue: str, messages: Sequence[StoredMessage]
) -> dict[str, str]:
    """Cancel messages of one queue; those that changed their state meanwhile are "moving"."""
    states = {message.id: message.state for message in messages}
    outcomes = {key: "dead" for key, state in states.items() if state is State.DEAD}
    waiting = [key for key, state in states.items() if state in (State.READY, State.DELAYED)]
    running = [key for key, state in states.items() if state is State.RUNNING]
    outcomes.update(dict.fromkeys(waiting, "moving"))
    if waiting:
        outcomes.update(dict.fromkeys(await browser.inspector.delete(queue, waiting), "removed"))
    if running and isinstance(browser.driver, Control):
        outcomes.update(dict.fromkeys(running, "moving"))
        outcomes.update(dict.fromkeys(await browser.driver.revoke(queue, running), "revoked"))
    elif running:
        outcomes.update(dict.fromkeys(running, "running"))
    return outcomes
