"""Passwords reach the broker, and nothing that people read."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.application import Application
from integration.redis_server import MakeRedis, RedisServer

SECRET = "canary-4a7be1"


@pytest.fixture
def server(make_redis: MakeRedis) -> RedisServer:
    one = make_redis("--requirepass", SECRET)
    one.start()
    return one


@pytest.fixture
def secretive(server: RedisServer, tmp_path: Path) -> Iterator[Application]:
    """An application on a broker with a password."""
    url = f"redis://:{SECRET}@127.0.0.1:{server.port}/0"
    made = Application(tmp_path, {"driver": "redis", "redis_url": url})
    yield made
    made.close()


def test_a_worker_that_logs_everything_shows_no_password(secretive: Application) -> None:
    secretive.dispatch(("note", {"word": "ran"}), ("fail", {"word": "failed"}))
    secretive.enqueue(b"\xc1garbage")
    worker = secretive.start_worker("--burst", "--log-level", "debug")
    assert worker.wait(60) == 0, secretive.output()
    secretive.dispatch(("fail", {"word": "failed"}))
    worker = secretive.start_worker("--burst", "--log-level", "debug", "--log-format", "json")
    assert worker.wait(60) == 0, secretive.output()
    assert secretive.log()["ran"] == 1
    assert "ValueError: failed" in secretive.output()
    assert SECRET not in secretive.output()


@pytest.mark.parametrize(
    "words",
    [["doctor"], ["queues", "--json"], ["dead", "list", "--json"]],
    ids=" ".join,
)
def test_a_command_shows_no_password(secretive: Application, words: list[str]) -> None:
    secretive.dispatch(("note", {"word": "waiting"}))
    command = secretive.start("-m", "asynctasq", *words)
    assert command.wait(30) == 0, secretive.output()
    if "--json" in words:
        json.loads(secretive.output())
    assert SECRET not in secretive.output()


@pytest.mark.parametrize("option", ["--redis-url", "--redis-password"])
def test_a_wrong_password_is_not_repeated(secretive: Application, option: str) -> None:
    wrong = "canary-wrong"
    value = secretive.settings["redis_url"].replace(SECRET, wrong)
    if option == "--redis-password":
        value = wrong
    worker = secretive.start_worker(option, value, "--log-level", "debug")
    assert worker.wait(30) == 1, secretive.output()
    output = secretive.output()
    assert "Traceback" not in output
    assert wrong not in output
    assert SECRET not in output


def test_a_traceback_shows_no_password(secretive: Application, server: RedisServer) -> None:
    server.kill()
    command = secretive.start("-m", "asynctasq", "queues", "--debug")
    assert command.wait(30) == 1
    assert "Traceback" in secretive.output()
    assert SECRET not in secretive.output()
