"""What keeps other sites and strangers out, and scripts that are not ours."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from asynctasq_cli.web.responses import JSON
from asynctasq_cli.web.sessions import COOKIE, Sessions

POLICY = (
    "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
#: Sent by our script with every change: a form of another site cannot.
OUR_HEADER = "X-AsyncTasQ"

FOREIGN = (
    "changes are taken from the dashboard's own pages only; a proxy has to pass the Host header on"
)
_SAFE = ("GET", "HEAD")


class SecurityHeaders:
    """Tells browsers what they may do with our answers, and to keep none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application does."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                # an entity tag makes it cheap to ask whether a file is still the same
                headers["Cache-Control"] = "no-cache" if "etag" in headers else "no-store"
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class SameOrigin:
    """Refuses changes that do not come from our own pages."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application does."""
        changes = scope["type"] == "http" and scope["method"] not in _SAFE
        if changes and not _is_ours(HTTPConnection(scope).headers):
            await JSON({"error": FOREIGN}, 403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class RequireSession:
    """Refuses those who have not signed in."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application does."""
        if self._sessions.valid(HTTPConnection(scope).cookies.get(COOKIE)):
            await self._app(scope, receive, send)
        else:
            await JSON({"error": "sign in first"}, 401)(scope, receive, send)


class KnownHosts:
    """Answers to names that are ours only.

    Else a site whose name suddenly means this machine could read what is open to it.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application does."""
        if scope["type"] == "http":
            host = HTTPConnection(scope).headers.get("host", "")
            if _name(host) not in self._hosts:
                why = "the dashboard does not answer to this name; allow it with --allow-host"
                await JSON({"error": why}, 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_ours(headers: Headers) -> bool:
    """Whether one of our pages sent this: its origin is the host it is sent to."""
    origin = headers.get("origin", "").lower().partition("://")[2]
    return OUR_HEADER in headers and origin != "" and origin == headers.get("host", "").lower()


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:  # such as a bracket that is not closed
        return ""
