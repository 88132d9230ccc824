"""The read-only routes: capabilities, snapshots, lists of messages, messages, settings."""

from collections.abc import Sequence
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from asynctasq.drivers import State, StoredMessage
from asynctasq_cli.browse import MessageBrowser
from asynctasq_cli.web import messages
from asynctasq_cli.web.dashboard import Dashboard
from asynctasq_cli.web.responses import JSON, refuse
from asynctasq_cli.web.sessions import COOKIE
from asynctasq_cli.web.stream import SnapshotStream

#: Largest number of messages on one page.
MAX_PAGE = 200


class ReadRoutes:
    """Serves the data of the pages; changes nothing."""

    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/facts", self.capabilities),
            Route("/events", self.events),
            Route("/tasks", self.tasks),
            Route("/task", self.task),
            Route("/settings", self.settings),
        ]

    async def capabilities(self, request: Request) -> Response:
        """Return the capabilities of the broker and the dashboard."""
        return JSON(asdict(self._dashboard.capabilities))

    async def events(self, request: Request) -> Response:
        """Stream snapshots until the viewer leaves."""
        sessions, cookie = self._dashboard.sessions, request.cookies.get(COOKIE)
        return SnapshotStream(self._dashboard.poller, lambda: sessions.valid(cookie))

    async def tasks(self, request: Request) -> Response:
        """Return a page of the messages of a queue in one state."""
        queue = self._dashboard.check_queue(request.query_params.get("queue", ""))
        state = self._state(request.query_params.get("state", ""))
        limit = _number(request, "limit", default=50, minimum=1, maximum=MAX_PAGE)
        offset = _number(request, "offset", default=0, minimum=0, maximum=2**31)
        async with self._dashboard.browse() as browser:
            # one extra message shows whether there is another page
            found = await browser.inspector.browse(queue, state, limit=limit + 1, offset=offset)
        rows = await messages.rows(self._dashboard.config, found[:limit])
        return JSON({"tasks": rows, "more": len(found) > limit})

    async def task(self, request: Request) -> Response:
        """Return all details of a message; searches all queues if none is named."""
        message_id = request.query_params.get("id", "").strip()
        queue = request.query_params.get("queue")
        queues = self._dashboard.queues() if queue is None else [self._dashboard.check_queue(queue)]
        async with self._dashboard.browse() as browser:
            found = await _find(browser, message_id, queues)
        if not found:
            refuse(404, _missing(dead_only=browser.scans_everything))
        return JSON(await messages.details(self._dashboard.config, found[0]))

    async def settings(self, request: Request) -> Response:
        """Return the settings in force, secrets masked."""
        masked = self._dashboard.config.masked()
        return JSON([{"name": name, "value": str(value)} for name, value in masked.items()])

    def _state(self, text: str) -> State:
        shown = self._dashboard.capabilities.states
        if text not in shown:
            refuse(400, f"this broker shows messages of these states only: {', '.join(shown)}")
        return State(text)


async def _find(
    browser: MessageBrowser, message_id: str, queues: Sequence[str]
) -> list[StoredMessage]:
    if not queues:
        return await browser.find([message_id], None)
    return [message for queue in queues for message in await browser.find([message_id], queue)]


def _missing(*, dead_only: bool) -> str:
    if dead_only:
        return "no dead message has this id, and this broker shows no others"
    return "no message has this id: already done, or never stored"


def _number(request: Request, name: str, *, default: int, minimum: int, maximum: int) -> int:
    text = request.query_params.get(name, str(default))
    is_number = text.isascii() and text.isdigit() and len(text) < 12
    if not (is_number and minimum <= int(text) <= maximum):
        refuse(400, f"{name} must be a number from {minimum} to {maximum}")
    return int(text)
