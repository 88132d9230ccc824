"""Server-sent events: every viewer gets what the poller has seen, and what keeps it from seeing."""

import asyncio
from collections.abc import Callable, Iterator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from asynctasq_cli.web.poller import Poller
from asynctasq_cli.web.responses import as_json

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),  # nginx would keep the events to itself
]


class SnapshotStream(Response):
    """Runs until the viewer goes, may not look any longer, or the server ends.

    Who is too slow to take each snapshot gets the latest.
    """

    def __init__(self, poller: Poller, allowed: Callable[[], bool]) -> None:
        super().__init__()
        self._poller = poller
        self._allowed = allowed
        self._sent: tuple[bytes | None, str | None] = (None, None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application does."""
        with self._poller.watching() as changed:
            gone = asyncio.create_task(_gone(receive), name="asynctasq-web-viewer")
            gone.add_done_callback(lambda _: changed.set())
            try:
                await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
                await self._send_all(changed, gone, send)
            except OSError:  # it went while we sent
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
            for event in self._news():
                await _send(send, event)

    def _news(self) -> Iterator[bytes]:
        seen, problem = self._poller.seen, self._poller.problem
        before, self._sent = self._sent, (seen, problem)
        if seen is not None and seen is not before[0]:
            yield _event(b"snapshot", seen)
        if problem is not None:
            yield _event(b"problem", as_json({"problem": problem}))


def _event(name: bytes, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name, data)


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
