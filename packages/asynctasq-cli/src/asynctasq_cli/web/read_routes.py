"""The routes that look: facts, snapshots, lists of messages, single ones, settings."""

from collections.abc import Sequence
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from asynctasq.drivers import State, StoredMessage
from asynctasq_cli.browse import View
from asynctasq_cli.web import messages
from asynctasq_cli.web.dashboard import Dashboard
from asynctasq_cli.web.responses import JSON, refuse
from asynctasq_cli.web.sessions import COOKIE
from asynctasq_cli.web.stream import SnapshotStream

#: Most messages of one page.
LARGEST = 200


class Looking:
    """Answers what pages ask; changes nothing."""

    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    def routes(self) -> list[Route]:
        """Its routes."""
        return [
            Route("/facts", self.facts),
            Route("/events", self.events),
            Route("/tasks", self.tasks),
            Route("/task", self.task),
            Route("/settings", self.settings),
        ]

    async def facts(self, request: Request) -> Response:
        """The broker, and what can be done with it."""
        return JSON(asdict(self._dashboard.facts))

    async def events(self, request: Request) -> Response:
        """Snapshots, for as long as somebody reads them."""
        sessions, cookie = self._dashboard.sessions, request.cookies.get(COOKIE)
        return SnapshotStream(self._dashboard.poller, lambda: sessions.valid(cookie))

    async def tasks(self, request: Request) -> Response:
        """A page of the messages of a queue in one state."""
        queue = self._dashboard.check_queue(request.query_params.get("queue", ""))
        state = self._state(request.query_params.get("state", ""))
        limit = _number(request, "limit", default=50, least=1, most=LARGEST)
        offset = _number(request, "offset", default=0, least=0, most=2**31)
        async with self._dashboard.view() as view:
            # one more tells whether there is another page
            found = await view.inspector.browse(queue, state, limit=limit + 1, offset=offset)
        rows = await messages.rows(self._dashboard.config, found[:limit])
        return JSON({"tasks": rows, "more": len(found) > limit})

    async def task(self, request: Request) -> Response:
        """Everything of one message; of whatever queue, when none is named."""
        wanted = request.query_params.get("id", "").strip()
        queue = request.query_params.get("queue")
        queues = self._dashboard.queues() if queue is None else [self._dashboard.check_queue(queue)]
        async with self._dashboard.view() as view:
            found = await _find(view, wanted, queues)
        if not found:
            refuse(404, _missing(whole=view.whole))
        return JSON(await messages.details(self._dashboard.config, found[0]))

    async def settings(self, request: Request) -> Response:
        """The settings in force; secrets are masked."""
        masked = self._dashboard.config.masked()
        return JSON([{"name": name, "value": str(value)} for name, value in masked.items()])

    def _state(self, text: str) -> State:
        shown = self._dashboard.facts.states
        if text not in shown:
            refuse(400, f"this broker shows messages in these states only: {', '.join(shown)}")
        return State(text)


async def _find(view: View, wanted: str, queues: Sequence[str]) -> list[StoredMessage]:
    if not queues:
        return await view.find([wanted], None)
    return [one for queue in queues for one in await view.find([wanted], queue)]


def _missing(*, whole: bool) -> str:
    if whole:
        return "no dead message has this id, and this broker shows no others"
    return "no message has this id: it is done already, or was never stored"


def _number(request: Request, name: str, *, default: int, least: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most):
        refuse(400, f"{name} must be a number from {least} to {most}")
    return int(text)
