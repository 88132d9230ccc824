"""The management client: responses, errors, and the hosts that receive credentials."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from yarl import URL

from asynctasq.errors import BrokerRejected, BrokerUnavailable
from asynctasq_rabbitmq.management import Management

pytestmark = pytest.mark.anyio


class Server(ThreadingHTTPServer):
    """Sends the same response to every request, and records the requests.

    Attributes:
        asked: the Authorization header of each request.
    """

    daemon_threads = True

    def __init__(self, status: int, body: bytes = b"[]", location: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.body, self.location = status, body, location
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://user:s3cret@127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Of `Server`."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.headers.get("Authorization"))
        self.send_response(self.server.status)
        if self.server.location is not None:
            self.send_header("Location", self.server.location)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(status: int = 200, **more: object) -> Iterator[Server]:
    with Server(status, **more) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_names_the_host(status: int) -> None:
    with serving() as other:
        location = f"http://u:t0ken@localhost:{other.server_port}/x?key=t0ken"
        with serving(status, location=location) as first:
            with pytest.raises(BrokerRejected, match="redirects to localhost, ") as caught:
                await Management(URL(first.url), "/").held()
            assert len(first.asked) == 1
    assert other.asked == []
    assert "s3cret" not in str(caught.value)
    assert "t0ken" not in str(caught.value)


@pytest.mark.parametrize("location", ["http://[", "/elsewhere", "", None])
async def test_an_odd_redirect_is_an_error_of_the_seam(location: str | None) -> None:
    with (
        serving(302, location=location) as server,
        pytest.raises(BrokerRejected, match="redirects to another address"),
    ):
        await Management(URL(server.url), "/").held()


async def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as proxy, serving() as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.server_port}")
        assert await Management(URL(server.url), "/").held() == {}
        assert (len(proxy.asked), len(server.asked)) == (0, 1)


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[1]",
        b"[{}]",
        b'[{"name": "a", "messages_unacknowledged": "x"}]',
        b'{"error": "busy"}',
        b"\xff",
        b"[" * 5000,
        b"",
    ],
)
async def test_an_odd_answer_is_an_error_of_the_seam(body: bytes) -> None:
    with serving(body=body) as server, pytest.raises(BrokerUnavailable) as caught:
        await Management(URL(server.url), "/").held()
    assert len(str(caught.value).splitlines()) == 1


async def test_what_is_held_is_counted() -> None:
    body = b'[{"name": "a", "messages_unacknowledged": 3}, {"name": "b"}]'
    with serving(body=body) as server:
        assert await Management(URL(server.url), "/").held() == {"a": 3, "b": 0}
