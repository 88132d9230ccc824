"""Where the tests find SQS: an emulator of their own, or one that is there already."""

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import ClientSession, TCPConnector, web
from pydantic import SecretStr

from asynctasq.testing.brokers import find_program
from asynctasq_sqs import SQSDriver, SQSSettings

#: Makes settings for an endpoint.
MakeSettings = Callable[..., SQSSettings]
#: Makes a driver.
MakeDriver = Callable[..., SQSDriver]
#: Seconds after which a state that does not come is missing.
PATIENCE = 15.0


@pytest.fixture
def anyio_backend() -> str:
    """Drivers are asyncio's."""
    return "asyncio"


@pytest.fixture(scope="session")
def emulator(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an emulator, a process of its own."""
    find_program(request, sys.executable)
    command = [sys.executable, str(Path(__file__).with_name("emulator.py")), "0"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http"), "the emulator does not start: is moto[server] installed?"
        yield url
        process.terminate()


@pytest.fixture
def sqs_url(request: pytest.FixtureRequest) -> str:
    """The endpoint of SQS."""
    if url := os.environ.get("ASYNCTASQ_TEST_SQS_URL"):
        return url
    url = request.getfixturevalue("emulator")
    # what waits in an emulator makes it slow
    urllib.request.urlopen(f"{url}/moto-api/reset", data=b"").close()
    return url


@pytest.fixture
def settings_for() -> MakeSettings:
    """A function that makes settings for an endpoint."""

    def make(url: str, **more: Any) -> SQSSettings:
        own = {
            "sqs_region": "us-east-1",
            "sqs_endpoint_url": url,
            "aws_access_key_id": "testing",
            "aws_secret_access_key": SecretStr("testing"),
        }
        return SQSSettings(**{**own, **more})

    return make


@pytest.fixture
def settings(sqs_url: str, settings_for: MakeSettings) -> SQSSettings:
    """What the drivers of a test share."""
    return settings_for(sqs_url)


@pytest.fixture
def driver_on(sqs_url: str, settings_for: MakeSettings) -> Callable[..., SQSDriver]:
    """A function that makes a driver with these settings."""
    return lambda **more: SQSDriver(settings_for(sqs_url, **more))


@pytest.fixture
def queue() -> str:
    """The name of a queue nobody uses."""
    return f"test-{uuid4().hex}"


@pytest.fixture
async def driver(driver_on: MakeDriver) -> AsyncIterator[SQSDriver]:
    """A connected driver."""
    one = driver_on()
    await one.connect()
    yield one
    await one.disconnect()


@pytest.fixture
async def proxy(sqs_url: str) -> AsyncIterator["Proxy"]:
    """What stands before SQS, counts, and may answer itself."""
    async with Proxy(sqs_url) as one:
        yield one


@pytest.fixture
async def proxied(proxy: "Proxy", driver_on: MakeDriver) -> AsyncIterator[SQSDriver]:
    """A connected driver whose requests go through the proxy."""
    one = driver_on(sqs_endpoint_url=proxy.url)
    await one.connect()
    proxy.calls.clear()
    yield one
    await one.disconnect()


@pytest.fixture
def until() -> "Until":
    """A function that waits for a condition, and fails when it does not come."""
    return _until


#: Waits for a condition.
Until = Callable[[Callable[[], object]], Awaitable[None]]
#: An answer that is not from SQS: status and JSON.
Answer = tuple[int, dict[str, Any]]


class Proxy:
    """Hands requests on; those `answer` knows an answer to, it answers itself."""

    def __init__(self, target: str) -> None:
        self.url = ""
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.answer: Callable[[str, dict[str, Any]], Answer | None] = lambda action, body: None
        self._target = target

    async def __aenter__(self) -> "Proxy":
        app = web.Application(client_max_size=10 * 1024 * 1024)
        app.router.add_post("/", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        self._session = ClientSession(connector=TCPConnector(force_close=True))
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    def refuse(self, action: str, code: str, text: str = "no", *, status: int = 400) -> None:
        """Refuse requests of this action as SQS does."""
        error = {"__type": f"com.amazonaws.sqs#{code}", "message": text}
        self.answer = lambda asked, body: (status, error) if asked == action else None

    def count(self, *actions: str) -> int:
        """How many requests there were, of these actions only if some are named."""
        return sum(not actions or action in actions for action, _ in self.calls)

    async def _handle(self, request: web.Request) -> web.Response:
        action = request.headers["X-Amz-Target"].partition(".")[2]
        raw = await request.read()
        body = json.loads(raw)
        self.calls.append((action, body))
        answer = self.answer(action, body)
        if answer is not None:
            status, reply = answer
            kind = "application/x-amz-json-1.0"
            return web.Response(status=status, text=json.dumps(reply), content_type=kind)
        headers = {name: request.headers[name] for name in ("X-Amz-Target", "Authorization")}
        headers["Content-Type"] = request.headers["Content-Type"]
        async with self._session.post(self._target, data=BytesIO(raw), headers=headers) as reply:
            passed = {"Content-Type": reply.headers["Content-Type"], "Date": reply.headers["Date"]}
            for name in ("x-amzn-query-error", "x-amzn-errortype"):
                if name in reply.headers:
                    passed[name] = reply.headers[name]
            return web.Response(status=reply.status, body=await reply.read(), headers=passed)


async def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        await asyncio.sleep(0.02)
