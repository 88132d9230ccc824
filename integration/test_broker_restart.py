"""A worker whose broker dies under it."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.application import Application, until


class PrivateRedis:
    """A server of the test's own, which keeps what it acknowledged."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port: int = one.getsockname()[1]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["--port", str(self.port), "--dir", str(self._folder), "--save", ""]
        durable = ["--appendonly", "yes", "--appendfsync", "always"]
        self._process = subprocess.Popen(
            ["redis-server", *options, *durable], stdout=subprocess.DEVNULL
        )
        until(self._answers, "the server listens")

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


@pytest.fixture
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[PrivateRedis]:
    if shutil.which("redis-server") is None:
        if request.config.getoption("--require-brokers"):
            pytest.fail("there is no redis-server to start")
        pytest.skip("there is no redis-server to start")
    one = PrivateRedis(tmp_path)
    one.start()
    yield one
    one.kill()


def test_a_worker_outlives_its_broker(server: PrivateRedis, tmp_path: Path) -> None:
    url = f"redis://127.0.0.1:{server.port}"
    application = Application(tmp_path, {"driver": "redis", "redis_url": url})
    try:
        application.dispatch(("note", {"word": "before"}))
        application.dispatch(*(("wait_for_file", {"number": n}) for n in range(5)))
        worker = application.start_worker("--lease", "3")
        until(lambda: len(application.log()) == 6, "the tasks have started")
        server.kill()
        (tmp_path / "go").touch()  # they end while nobody can be told
        until(lambda: application.log()["end 4"] == 1, "the tasks have ended")
        until(lambda: "outcomes wait" in application.output(), "the worker noticed")
        time.sleep(4)  # longer than the lease: nobody else is there to take them over
        server.start()
        until(lambda: "is back" in application.output(), "the worker is back")
        application.dispatch(("note", {"word": "after"}))
        until(lambda: application.log()["after"] == 1, "it works as before")
        until(lambda: application.stats().running == 0, "all is settled")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
        stats = application.stats()
        assert (stats.ready, stats.delayed, stats.dead) == (0, 0, 0)
        started = [application.log()[f"start {n}"] for n in range(5)]
        assert started == [1] * 5
    finally:
        application.close()
