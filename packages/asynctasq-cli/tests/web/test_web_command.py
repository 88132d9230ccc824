"""``asynctasq web`` in a process of its own."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

WITHOUT = """
import sys
sys.modules["starlette"] = None
from asynctasq_cli.main import run
sys.exit(run(["web"]))
"""


def test_without_the_extra_the_error_has_the_install_command(shell) -> None:
    words = [sys.executable, "-c", WITHOUT]
    answer = subprocess.run(
        words, cwd=shell.folder, env=shell.environment, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 2
    assert answer.stderr == (
        "error: the dashboard is not installed: pip install 'asynctasq[web]'\n"
    )


def test_invalid_options_are_refused_in_one_line(shell) -> None:
    pytest.importorskip("starlette", reason="needs the extra web")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        unsafe, short, twice, path = shell.batch(
            ["web", "--allow-actions"],
            ["web", "--token", "hunter2"],
            ["web", "--port", port],
            ["web", "--root-path", '/"x'],
        )
    for answer, words in (
        (unsafe, "ASYNCTASQ_WEB_TOKEN"),
        (short, "16 characters"),
        (twice, f"cannot listen on 127.0.0.1:{port}"),
        (path, "such as /queue"),
    ):
        assert answer.returncode in (1, 2)
        assert words in answer.stderr
        assert answer.stderr.count("\n") == 1
        assert "hunter2" not in answer.stderr


class Served:
    """A dashboard in a process of its own."""

    def __init__(self, shell, *words: str, token: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "asynctasq", "web", "--port", "0", *words],
            cwd=shell.folder, env={**shell.environment, "ASYNCTASQ_WEB_TOKEN": token},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.first = self.process.stdout.readline()
        self.url = re.sub(".* ", "", self.first.strip())

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        port = re.search(r":(\d+)", self.url)
        assert port is not None
        url = f"http://127.0.0.1:{port[1]}{path}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def stop(self, how: int = signal.SIGTERM) -> str:
        """Stop the process, and return its standard error."""
        self.process.send_signal(how)
        _, said = self.process.communicate(timeout=30)
        return said


def test_it_serves_the_announced_url_and_stops_despite_a_viewer(shell) -> None:
    pytest.importorskip("starlette", reason="needs the extra web")
    served = Served(shell, "--root-path", "queue")
    try:
        assert re.fullmatch(
            r"dashboard of sqlite at \S+, read only: http://127.0.0.1:\d+/queue/\n", served.first
        )
        status, facts = served.get("/queue/api/facts")
        assert (status, json.loads(facts)["driver"]) == (200, "sqlite")
        assert served.get("/api/facts", Host="evil.example")[0] == 403
        with urllib.request.urlopen(f"{served.url}api/events", timeout=30) as events:
            assert events.readline() == b"retry: 2000\n"
            while events.readline() != b"event: snapshot\n":
                pass
            said = served.stop(signal.SIGINT)
            assert events.read().startswith(b"data: {")
        assert said.strip() == ""
        assert served.process.returncode == 130
    finally:
        served.process.kill()
        served.process.wait()


def test_listening_on_all_addresses_without_a_token_warns(shell) -> None:
    pytest.importorskip("starlette", reason="needs the extra web")
    open_ = Served(shell, "--host", "0.0.0.0")
    guarded = Served(shell, "--host", "0.0.0.0", token="a token of more than sixteen")
    try:
        assert open_.get("/api/facts", Host="any.example")[0] == 200
        assert guarded.get("/api/facts")[0] == 401
        assert open_.stop().startswith("warning: anyone who reaches this address")
        assert guarded.stop() == ""
    finally:
        for served in (open_, guarded):
            served.process.kill()
            served.process.wait()
