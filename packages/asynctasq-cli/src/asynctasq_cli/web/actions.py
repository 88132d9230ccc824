"""The routes that change something; without ``--allow-actions`` there are none of them."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from asynctasq.drivers import State
from asynctasq_cli.browse import View
from asynctasq_cli.cancel import DONE, SAID, cancel_messages
from asynctasq_cli.connection import control
from asynctasq_cli.selection import Filters, matching
from asynctasq_cli.web.bodies import json_object
from asynctasq_cli.web.dashboard import Dashboard
from asynctasq_cli.web.responses import JSON, refuse

logger = logging.getLogger("asynctasq.web")

#: Most messages that are named in one request.
LARGEST = 1000

Action = Callable[[View, str, Mapping[str, Any]], Awaitable[str]]


class Actions:
    """Does what people ask for, and notes it in the log."""

    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    def routes(self) -> list[Route]:
        """A route for each action: POST with the queue and what else it needs, in JSON."""
        return [
            Route(f"/{name}", self._endpoint(name, act), methods=["POST"])
            for name, act in ACTIONS.items()
        ]

    def _endpoint(self, name: str, act: Action) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            wanted = await json_object(request)
            queue = self._dashboard.check_queue(_text(wanted, "queue"))
            async with self._dashboard.view() as view:
                said = await act(view, queue, wanted)
            who = request.client.host if request.client else "somebody"
            logger.info("%s on queue %r by %s: %r", name, queue, who, said)
            return JSON({"said": said})

        return endpoint


async def requeue(view: View, queue: str, wanted: Mapping[str, Any]) -> str:
    """Make the named dead messages deliverable again."""
    return f"{len(await view.inspector.requeue(queue, _ids(wanted)))} requeued"


async def requeue_all(view: View, queue: str, wanted: Mapping[str, Any]) -> str:
    """Make all messages that are dead now deliverable again, the longest dead first."""
    dead = await matching(view, Filters(queue=queue), bodies=False)
    ids = [message.id for message in reversed(dead)]
    return f"{await _in_parts(view, queue, ids, view.inspector.requeue)} requeued"


async def delete(view: View, queue: str, wanted: Mapping[str, Any]) -> str:
    """Remove the named messages for good, those that wait and those that are dead."""
    return f"{len(await view.inspector.delete(queue, _ids(wanted)))} deleted"


async def purge(view: View, queue: str, wanted: Mapping[str, Any]) -> str:
    """Remove all messages of one state for good."""
    state = _text(wanted, "state")
    if state not in [one.value for one in State]:
        refuse(400, "state must be ready, delayed or dead")
    return f"{await view.inspector.purge(queue, State(state))} removed"


async def pause(view: View, queue: str, wanted: Mapping[str, Any]) -> str:
    """Deliver nothing more of the queue."""
    new = await control(view.driver, view.config, "pause queues").pause(queue)
    return "paused" if new else "paused already"


async def resume(view: View, queue: str, wanted: Mapping[str, Any]) -> str:
    """Deliver the queue again."""
    new = await control(view.driver, view.config, "resume queues").resume(queue)
    return "resumed" if new else "not paused"


async def cancel(view: View, queue: str, wanted: Mapping[str, Any]) -> str:
    """Remove the named messages if they wait, and take them from their workers if they run."""
    outcomes = await cancel_messages(view, _ids(wanted), queue)
    if len(outcomes) == 1:
        (outcome,) = outcomes.values()
        return SAID[outcome]
    done = sum(outcome in DONE for outcome in outcomes.values())
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


async def _in_parts(view: View, queue: str, ids: Sequence[str], change: _Change) -> int:
    done = 0
    for start in range(0, len(ids), view.page):
        done += len(await change(queue, ids[start : start + view.page]))
    return done


def _ids(wanted: Mapping[str, Any]) -> list[str]:
    ids: object = wanted.get("ids")
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in cast(list[Any], ids)):
        refuse(400, "ids must be a list of ids")
    found = list(dict.fromkeys(cast(list[str], ids)))
    if not 0 < len(found) <= LARGEST:
        refuse(400, f"name 1 to {LARGEST} ids")
    return found


def _text(wanted: Mapping[str, Any], name: str) -> str:
    value: object = wanted.get(name)
    if not isinstance(value, str):
        refuse(400, f"{name} is missing")
    return value
