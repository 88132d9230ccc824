"""``asynctasq cancel``: take messages away, whether they wait or run."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

from collections.abc import Sequence
from typing import Any

import rich_click as click

from asynctasq.drivers import Control, State, StoredMessage
from asynctasq_cli.browse import View, with_view
from asynctasq_cli.connection import cannot
from asynctasq_cli.options import config_options, make_config
from asynctasq_cli.output import print_json, printable

#: Looks at a message that moves from state to state as fast as we act.
LOOKS = 5

SAID = {
    "removed": "removed before it ran",
    "revoked": "revoked; its worker is told within a third of its lease, and stops it",
    "running": "is running, and was not cancelled",
    "moving": "keeps moving between states, and was not cancelled; try again",
    "dead": "is dead; remove it with: asynctasq dead purge",
    "unknown": "is not there: done already, or never stored",
}
DONE = ("removed", "revoked")


@click.command()
@click.argument("ids", nargs=-1, required=True)
@click.option("--queue", help="The queue they are on, if you know.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@config_options
def cancel(ids: tuple[str, ...], queue: str | None, as_json: bool, **options: Any) -> int:
    """Remove waiting messages, and take running ones away from their workers.

    Exits with 1 when one of them was not cancelled; the others are.

    \b
    asynctasq cancel 0198c0de
    asynctasq cancel 0198c0de 0198c0df --queue emails
    """
    config = make_config(options)
    outcomes = with_view(
        config, lambda view: cancel_messages(view, list(dict.fromkeys(ids)), queue)
    )
    if as_json:
        print_json([{"id": one, "outcome": outcome} for one, outcome in outcomes.items()])
    failed = False
    for one, outcome in outcomes.items():
        failed |= outcome not in DONE
        if outcome not in DONE:
            hint = f" ({cannot(config, 'revoke what runs')})" if outcome == "running" else ""
            click.echo(f"error: {printable(one)} {SAID[outcome]}{hint}", err=True)
        elif not as_json:
            click.echo(f"{printable(one)} {SAID[outcome]}")
    return 1 if failed else 0


async def cancel_messages(view: View, ids: Sequence[str], queue: str | None) -> dict[str, str]:
    """Cancel what waits or runs; returns what became of each id, as a word of `SAID`."""
    if view.whole:
        raise cannot(view.config, "cancel single messages")
    outcomes = dict.fromkeys(ids, "unknown")
    left = list(ids)
    for _ in range(LOOKS):
        found = await view.find(left, queue)
        outcomes.update(dict.fromkeys(left, "unknown"))
        for name in dict.fromkeys(message.queue for message in found):
            here = [message for message in found if message.queue == name]
            outcomes.update(await _act(view, name, here))
        left = [one for one in left if outcomes[one] == "moving"]
        if not left:
            break
    return outcomes


async def _act(view: View, queue: str, messages: Sequence[StoredMessage]) -> dict[str, str]:
    """What became of messages of one queue; those that were gone when we came are "moving"."""
    states = {message.id: message.state for message in messages}
    outcomes = {one: "dead" for one, state in states.items() if state is State.DEAD}
    waiting = [one for one, s in states.items() if s in (State.READY, State.DELAYED)]
    running = [one for one, state in states.items() if state is State.RUNNING]
    outcomes.update(dict.fromkeys(waiting, "moving"))
    if waiting:
        outcomes.update(dict.fromkeys(await view.inspector.delete(queue, waiting), "removed"))
    if running and isinstance(view.driver, Control):
        outcomes.update(dict.fromkeys(running, "moving"))
        outcomes.update(dict.fromkeys(await view.driver.revoke(queue, running), "revoked"))
    elif running:
        outcomes.update(dict.fromkeys(running, "running"))
    return outcomes
