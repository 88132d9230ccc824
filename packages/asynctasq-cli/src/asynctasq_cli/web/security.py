"""Middleware against other sites, missing sessions and foreign scripts."""

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
#: Sent by the dashboard's script with every change; forms of other sites cannot send it.
OUR_HEADER = "X-AsyncTasQ"

FOREIGN = (
    "changes are accepted from the dashboard's own pages only; a proxy must pass the Host header"
)
_SAFE = ("GET", "HEAD")


class SecurityHeaders:
    """Adds security headers to every response, and forbids caching."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request (ASGI)."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                # with an entity tag, revalidation is cheap
                headers["Cache-Control"] = "no-cache" if "etag" in headers else "no-store"
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class SameOrigin:
    """Refuses changes that do not come from the dashboard's own pages."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request (ASGI)."""
        changes = scope["type"] == "http" and scope["method"] not in _SAFE
        if changes and not _is_ours(HTTPConnection(scope).headers):
            await JSON({"error": FOREIGN}, 403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class RequireSession:
    """Refuses requests without a session."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request (ASGI)."""
        if self._sessions.valid(HTTPConnection(scope).cookies.get(COOKIE)):
            await self._app(scope, receive, send)
        else:
            await JSON({"error": "sign in first"}, 401)(scope, receive, send)


class KnownHosts:
    """Refuses requests for unknown host names.

    Prevents DNS rebinding: a site whose name is changed to resolve to this machine.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request (ASGI)."""
        if scope["type"] == "http":
            host = HTTPConnection(scope).headers.get("host", "")
            if _name(host) not in self._hosts:
                reason = "unknown host name; allow it with --allow-host"
                await JSON({"error": reason}, 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_ours(headers: Headers) -> bool:
    """Whether a page of the dashboard sent the request: its origin is the target host."""
    origin = headers.get("origin", "").lower().partition("://")[2]
    return OUR_HEADER in headers and origin != "" and origin == headers.get("host", "").lower()


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:  # such as an unclosed bracket
        return ""
