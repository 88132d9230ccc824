"""Serves ``/metrics`` and ``/healthz`` over HTTP, from threads of its own.

A worker whose event loop is blocked can still be scraped, and still responds to its probe.
"""

import asyncio
import socket
import socketserver
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Self, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    make_wsgi_app,  # pyright: ignore[reportUnknownVariableType]
)

from asynctasq.core.worker import Worker
from asynctasq.prometheus.gauges import Gauges
from asynctasq.prometheus.health import Health

#: Seconds for a client to send its request.
CLIENT_LIMIT = 10.0


class MetricsServer:
    """Serves while it is entered. Enter it on the event loop that runs `worker`.

    ``GET /healthz`` returns 200 while the worker's event loop runs and its broker answers, else
    503 with the reason; see `asynctasq.prometheus.health.Health`.

    Args:
        registry: the metrics that ``/metrics`` shows.
        host: 0.0.0.0 by default, because Prometheus and a kubelet connect from outside.
        port: 0 picks a free port; the attribute `port` has its number.

    Raises:
        OSError: the port cannot be bound; raised on entering.
    """

    def __init__(
        self,
        worker: Worker,
        *,
        registry: CollectorRegistry = REGISTRY,
        host: str = "0.0.0.0",
        port: int = 9464,
    ) -> None:
        self._worker = worker
        self._registry = registry
        self._place = (host, port)
        self._metrics = cast("WSGIApplication", make_wsgi_app(registry))

    @property
    def port(self) -> int:
        """The port the server listens on."""
        return self._server.server_port

    async def __aenter__(self) -> Self:
        self._server = _listen(*self._place)
        self._health = Health(self._worker)
        self._gauges = Gauges(self._worker)
        self._registry.register(self._gauges)
        self._server.set_app(self._answer)
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="asynctasq-metrics", daemon=True
        )
        self._thread.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._registry.unregister(self._gauges)
        self._gauges.close()
        await asyncio.to_thread(self._server.shutdown)
        self._server.server_close()
        self._thread.join()

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path == "/metrics":
            return self._metrics(environ, start)
        if path != "/healthz":
            return _plain(start, "404 Not Found", "the paths are /metrics and /healthz")
        problem = self._health.problem()
        if problem is None:
            return _plain(start, "200 OK", "healthy")
        return _plain(start, "503 Service Unavailable", problem)


class _Handler(WSGIRequestHandler):
    timeout = CLIENT_LIMIT

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: probes arrive every few seconds."""


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False  # the worker must not wait for clients when it ends

    def server_bind(self) -> None:
        """Bind without the DNS lookup of the host's name in the inherited method."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """Log nothing: a client disconnected."""


class _Server6(_Server):
    address_family = socket.AF_INET6


def _listen(host: str, port: int) -> _Server:
    family, *_, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    kind = _Server6 if family == socket.AF_INET6 else _Server
    return kind((str(address[0]), port), _Handler)


def _plain(start: StartResponse, status: str, text: str) -> Iterable[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{text}\n".encode()]
