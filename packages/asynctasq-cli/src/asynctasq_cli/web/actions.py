"""The routes that change queues and messages; absent without ``--allow-actions``."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from asynctasq.drivers import State
from asynctasq_cli.browse import MessageBrowser
from asynctasq_cli.cancel import OUTCOMES, SUCCESSES, cancel_messages
from asynctasq_cli.connection import require_control
from asynctasq_cli.selection import Filters, matching
from asynctasq_cli.web.bodies import json_object
from asynctasq_cli.web.dashboard import Dashboard
from asynctasq_cli.web.responses import JSON, refuse

logger = logging.getLogger("asynctasq.web")

#: Largest number of ids in one request.
MAX_IDS = 1000

Action = Callable[[MessageBrowser, str, Mapping[str, Any]], Awaitable[str]]


class ActionRoutes:
    """Runs the actions of the dashboard, and logs each with the client's address."""

    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    def routes(self) -> list[Route]:
        """Return a route for each action: POST with the queue and its arguments, in JSON."""
        return [
            Route(f"/{name}", self._endpoint(name, act), methods=["POST"])
            for name, act in ACTIONS.items()
        ]

    def _endpoint(self, name: str, act: Action) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            arguments = await json_object(request)
            queue = self._dashboard.check_queue(_text(arguments, "queue"))
            async with self._dashboard.browse() as browser:
                result = await act(browser, queue, arguments)
            address = request.client.host if request.client else "unknown"
            logger.info("%s on queue %r by %s: %r", name, queue, address, result)
            return JSON({"said": result})

        return endpoint


async def requeue(browser: MessageBrowser, queue: str, wanted: Mapping[str, Any]) -> str:
    """Make the named dead messages deliverable again."""
    return f"{len(await browser.inspector.requeue(queue, _ids(wanted)))} requeued"


async def requeue_all(browser: MessageBrowser, queue: str, wanted: Mapping[str, Any]) -> str:
    """Make all messages that are dead now deliverable again, oldest first."""
    dead = await matching(browser, Filters(queue=queue), bodies=False)
    ids = [message.id for message in reversed(dead)]
    return f"{await _in_parts(browser, queue, ids, browser.inspector.requeue)} requeued"


async def delete(browser: MessageBrowser, queue: str, wanted: Mapping[str, Any]) -> str:
    """Remove the named waiting and dead messages permanently."""
    return f"{len(await browser.inspector.delete(queue, _ids(wanted)))} deleted"


async def purge(browser: MessageBrowser, queue: str, wanted: Mapping[str, Any]) -> str:
    """Remove all messages of one state permanently."""
    state = _text(wanted, "state")
    if state not in [known.value for known in State]:
        refuse(400, "state must be ready, delayed or dead")
    return f"{await browser.inspector.purge(queue, State(state))} removed"


async def pause(browser: MessageBrowser, queue: str, wanted: Mapping[str, Any]) -> str:
    """Stop the delivery of the queue."""
    new = await require_control(browser.driver, browser.config, "pause queues").pause(queue)
    return "paused" if new else "paused already"


async def resume(browser: MessageBrowser, queue: str, wanted: Mapping[str, Any]) -> str:
    """Resume the delivery of the queue."""
    new = await require_control(browser.driver, browser.config, "resume queues").resume(queue)
    return "resumed" if new else "not paused"


async def cancel(browser: MessageBrowser, queue: str, wanted: Mapping[str, Any]) -> str:
    """Remove the named messages if they wait, and revoke them if they run."""
    outcomes = await cancel_messages(browser, _ids(wanted), queue)
    if len(outcomes) == 1:
        (outcome,) = outcomes.values()
        return OUTCOMES[outcome]
    done = sum(outcome in SUCCESSES for outcome in outcomes.values())
    return f"{done} of {len(outcomes)} cancelled"


ACTIONS: Mapping[str, Action] = {
    "requeue": requeue,
    "requeue-all": requeue_all,
    "delete": delete,
    "purge": purge,
    "pause": pause,
    "resume": resume,
    "cancel": cancel,
}

_Change = Callable[[str, Sequence[str]], Awaitable[Sequence[str]]]


async def _in_parts(
    browser: MessageBrowser, queue: str, ids: Sequence[str], change: _Change
) -> int:
    done = 0
    for start in range(0, len(ids), browser.page):
        done += len(await change(queue, ids[start : start + browser.page]))
    return done


def _ids(wanted: Mapping[str, Any]) -> list[str]:
    ids: object = wanted.get("ids")
    if not isinstance(ids, list) or not all(isinstance(key, str) for key in cast(list[Any], ids)):
        refuse(400, "ids must be a list of strings")
    unique = list(dict.fromkeys(cast(list[str], ids)))
    if not 0 < len(unique) <= MAX_IDS:
        refuse(400, f"ids must have 1 to {MAX_IDS} entries")
    return unique


def _text(wanted: Mapping[str, Any], name: str) -> str:
    value: object = wanted.get(name)
    if not isinstance(value, str):
        refuse(400, f"{name} is missing")
    return value
