"""Serves the dashboard with uvicorn until a signal arrives."""

import socket
from collections.abc import Collection

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from asynctasq_cli.web.security import KnownHosts


async def serve(
    app: Starlette, listener: socket.socket, *, root_path: str, hosts: Collection[str] | None
) -> None:
    """Serve `app` on a socket.

    Args:
        root_path: the dashboard's path in browsers; a proxy may strip it or pass it on.
        hosts: accepted host names; any, if None.
    """
    outer: ASGIApp = UnderPath(app, root_path) if root_path else app
    if hosts is not None:
        outer = KnownHosts(outer, hosts)
    config = uvicorn.Config(
        outer,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    await _Server(config, app).serve([listener])


class UnderPath:
    """Mounts an application under a path, whether or not requests carry the path."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request (ASGI)."""
        if scope["type"] == "http":
            path = scope["path"]
            if path != self._path and not path.startswith(f"{self._path}/"):
                path = f"{self._path}{path}"
            path = path if path != self._path else f"{path}/"
            scope = {**scope, "root_path": self._path, "path": path}
        await self._app(scope, receive, send)


class _Server(uvicorn.Server):
    """Ends the event streams first: uvicorn waits for open responses."""

    def __init__(self, config: uvicorn.Config, app: Starlette) -> None:
        super().__init__(config)
        self._dashboard = app.state.dashboard

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server.shutdown`."""
        self._dashboard.poller.end()
        await super().shutdown(sockets)
