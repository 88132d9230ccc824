"""Streams the poller's snapshots and problems to a viewer, as server-sent events."""

import asyncio
from collections.abc import Callable, Iterator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from asynctasq_cli.web.poller import Poller
from asynctasq_cli.web.responses import as_json

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),  # else nginx buffers the events
]


class SnapshotStream(Response):
    """Streams until the viewer leaves, its session ends, or the server shuts down.

    A slow viewer skips snapshots and gets the latest.
    """

    def __init__(self, poller: Poller, allowed: Callable[[], bool]) -> None:
        super().__init__()
        self._poller = poller
        self._allowed = allowed
        self._sent: tuple[bytes | None, str | None] = (None, None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request (ASGI)."""
        with self._poller.watching() as changed:
            gone = asyncio.create_task(_gone(receive), name="asynctasq-web-viewer")
            gone.add_done_callback(lambda _: changed.set())
            try:
                await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
                await self._send_all(changed, gone, send)
            except OSError:  # the viewer left during a send
                return
            finally:
                gone.cancel()

    async def _send_all(
        self, changed: asyncio.Event, gone: "asyncio.Task[None]", send: Send
    ) -> None:
        await _send(send, b"retry: 2000\n\n")
        while True:
            await changed.wait()
            changed.clear()
            if gone.done():
                return
            if self._poller.closed or not self._allowed():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            for event in self._unsent():
                await _send(send, event)

    def _unsent(self) -> Iterator[bytes]:
        snapshot, problem = self._poller.snapshot, self._poller.problem
        before, self._sent = self._sent, (snapshot, problem)
        if snapshot is not None and snapshot is not before[0]:
            yield _event(b"snapshot", snapshot)
        if problem is not None:
            yield _event(b"problem", as_json({"problem": problem}))


def _event(name: bytes, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name, data)


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
