"""An in-memory broker, and clients that behave like the dashboard's pages."""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from asynctasq import Config
from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq.drivers.memory import MemoryDriver

OURS = {"X-AsyncTasQ": "1", "Origin": "http://here"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def token() -> str:
    return "a token of more than sixteen"


@pytest.fixture
def config() -> Config:
    return Config(driver="memory", memory_url=f"memory://{uuid.uuid4()}")


class Broker(MemoryDriver):
    """The driver of the dashboard, with shortcuts for tests."""

    async def store(self, *ids: str, queue: str = "q", delay: float = 0) -> None:
        """Store messages with an unreadable body."""
        await self.enqueue([Message(one, queue, b"body", delay) for one in ids])

    async def hold(self, count: int, queue: str = "q") -> Sequence[Any]:
        """Dequeue messages, as a worker does."""
        return await self.dequeue([queue], limit=count, lease=60, wait=0)

    async def bury(self, *ids: str, queue: str = "q", note: str = "why") -> None:
        """Store messages, and settle them as dead."""
        await self.store(*ids, queue=queue)
        held = await self.hold(len(ids), queue)
        await self.settle([Settlement(one, Outcome.DEAD, note=note) for one in held])

    async def states(self, queue: str = "q") -> tuple[int, int | None, int | None, int]:
        """Counts of ready, delayed, running and dead messages."""
        (stats,) = await self.counts([queue])
        return stats.ready, stats.delayed, stats.running, stats.dead


@pytest.fixture
def broker(config: Config) -> Broker:
    return Broker(config.driver_settings)


@pytest.fixture
async def client() -> AsyncGenerator[Callable[..., Any], None]:
    """Makes HTTP clients of applications."""
    import httpx

    made: list[httpx.AsyncClient] = []

    def make(app: Any, base: str = "http://here", **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=app)
        opened = httpx.AsyncClient(transport=transport, base_url=base, headers={**OURS, **headers})
        made.append(opened)
        return opened

    yield make
    for opened in made:
        await opened.aclose()


class Stream:
    """The events of one viewer; httpx's ASGI transport would buffer them until the end."""

    def __init__(self, app: Any, cookie: str = "", path: str = "/api/events") -> None:
        self._app = app
        self._scope = {
            "type": "http", "method": "GET", "path": path, "raw_path": path.encode(),
            "root_path": "", "query_string": b"", "scheme": "http", "http_version": "1.1",
            "asgi": {"version": "3.0", "spec_version": "2.3"}, "client": ("127.0.0.1", 1),
            "server": ("here", 80), "headers": [(b"host", b"here"), (b"cookie", cookie.encode())],
        }  # fmt: skip
        self._sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.leave = asyncio.Event()
        self.broken = False

    async def run(self) -> None:
        """Run the request to its end."""
        await self._app(self._scope, self._receive, self._send)

    async def next(self) -> tuple[str, Any]:
        """The next event and its data; ("", None) at the end."""
        async with asyncio.timeout(30):
            while True:
                message = await self._sent.get()
                text = message.get("body", b"").decode()
                if text.startswith("event: "):
                    name, data = text.strip().split("\n")
                    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))
                if not message.get("more_body", True):
                    return "", None

    async def until(self, wanted: Callable[[str, Any], bool]) -> Any:
        """The data of the first matching event."""
        async with asyncio.timeout(30):
            while True:
                name, data = await self.next()
                if wanted(name, data):
                    return data

    async def _receive(self) -> dict[str, Any]:
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if self.broken:
            raise OSError("the viewer is gone")
        await self._sent.put(message)


@pytest.fixture
def watch() -> Callable[..., Any]:
    """Streams an application's events, and disconnects at the end."""

    @asynccontextmanager
    async def watching(app: Any, cookie: str = "") -> AsyncGenerator[Stream, None]:
        stream = Stream(app, cookie)
        running = asyncio.create_task(stream.run())
        try:
            yield stream
        finally:
            stream.leave.set()
            async with asyncio.timeout(30):
                await running

    return watching
