"""The commands that operate a queue, on every broker, with thousands of messages in it."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from asynctasq import Config, DriverFactory
from asynctasq.core.producer.client import client
from asynctasq.drivers import (
    BaseDriver,
    Control,
    Delivery,
    Message,
    Outcome,
    Settlement,
    State,
    WorkerInfo,
    Workers,
)
from asynctasq.serialization import Envelope, MsgpackSerializer
from asynctasq.serialization.envelope import codec_of
from asynctasq.testing.waiting import until
from asynctasq_cli.main import run
from integration.redis_server import RedisServer

READY, DELAYED, RUNNING, DEAD = 10_000, 500, 20, 30
#: Seconds for each command on a machine of its own, and how much slower this one may be.
LIMIT, LOADED = 2.0, 4
QUEUE = "emails"
NASTY = ("<b>bold</b>\x1b[31m", "<script>alert(1)</script>\x1b]0;title\x07")
ERRORS = (
    *[("shop:charge", "ConnectionError: refused\nTraceback")] * 10,
    *[("shop:mail", "ConnectionError: refused\nTraceback")] * 10,
    *[("shop:charge", "ValueError: bad\nConnectionError: refused")] * 9,
    NASTY,
)
CHARGED = [f"dead-{n}" for n in range(10)]


class Night:
    """A broker full of messages, some of them held, and the command to inspect it.

    Attributes:
        loop: on which `driver` holds what is running.
    """

    def __init__(self, settings: Mapping[str, str], capsys: pytest.CaptureFixture[str]) -> None:
        self.config = Config(**settings)
        self.driver: BaseDriver = DriverFactory.create_from_config(self.config)
        self.loop = asyncio.Runner()
        self._capsys = capsys
        self.held: list[Delivery] = []

    @property
    def whole(self) -> bool:
        """Whether only dead messages can be shown."""
        return State.READY not in self.driver.limits.inspects

    def fill(self, ready: int, delayed: int, running: int, dead: int) -> None:
        self.loop.run(self._fill(ready, delayed, running, dead))

    def __call__(self, *words: str, code: int = 0) -> str:
        """The standard output of a command, or the error it ends with."""
        self._capsys.readouterr()
        start = time.monotonic()
        assert run(words) == code, self._capsys.readouterr()
        spent = time.monotonic() - start
        said = self._capsys.readouterr()
        assert spent < LIMIT * LOADED, words
        assert "\x1b" not in said.out + said.err
        assert "\x07" not in said.out + said.err
        return said.out if code == 0 else said.err

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json"))

    def counts(self) -> dict[str, Any]:
        (row,) = self.json("queues", "--queue", QUEUE)
        return row

    def close(self) -> None:
        self.loop.run(self.driver.disconnect())
        self.loop.close()

    async def _fill(self, ready: int, delayed: int, running: int, dead: int) -> None:
        await self.driver.connect()
        for n, (task, _) in enumerate(ERRORS[:dead]):
            await self._store([self._message(f"dead-{n}", task)])
        for delivery in await self._take(dead):
            note = ERRORS[int(delivery.id.removeprefix("dead-"))][1]
            await self.driver.settle([Settlement(delivery, Outcome.DEAD, note=note)])
        await self._store([self._message(f"running-{n}") for n in range(running)])
        self.held = await self._take(running)
        await self._store([self._message(f"delayed-{n}", delay=600) for n in range(delayed)])
        await self._store([self._message(f"ready-{n}") for n in range(ready)])

    async def _take(self, count: int) -> list[Delivery]:
        taken: list[Delivery] = []
        while len(taken) < count:
            left = count - len(taken)
            taken += await self.driver.dequeue([QUEUE], limit=left, lease=300, wait=20)
        return taken

    async def _store(self, messages: Sequence[Message]) -> None:
        for start in range(0, len(messages), 500):
            await self.driver.enqueue(messages[start : start + 500])

    def _message(self, message_id: str, task: str = "shop:send", delay: float = 0.0) -> Message:
        envelope = Envelope(task, (), {"to": "a@example.com"})
        body = codec_of(MsgpackSerializer(), self.config.signing_keys).encode(envelope)
        return Message(message_id, QUEUE, body, delay)


def _night(
    request: pytest.FixtureRequest, settings: Mapping[str, str], folder: Path
) -> Iterator[Night]:
    monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(client, "_config", None)
    for name, value in settings.items():
        monkeypatch.setenv(f"ASYNCTASQ_{name.upper()}", value)
    one = Night(settings, request.getfixturevalue("capsys"))
    yield one
    one.close()


def _settings(request: pytest.FixtureRequest, broker: str) -> dict[str, str]:
    if broker == "memory":
        return {"driver": "memory", "memory_url": f"memory://{request.node.name}"}
    found: dict[str, str] = request.getfixturevalue(f"{broker}_settings")
    return found


@pytest.fixture(params=["memory", "sqlite", "redis", "postgres", "mysql", "rabbitmq"])
def night(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Night]:
    for one in _night(request, _settings(request, request.param), tmp_path):
        one.fill(READY, DELAYED, RUNNING, DEAD)
        yield one


@pytest.fixture
def quiet_night(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Night]:
    """On SQS, which is slow to fill and shows only dead messages."""
    for one in _night(request, _settings(request, "sqs"), tmp_path):
        one.fill(3, 0, 0, 2)
        yield one


def test_everything_is_seen(night: Night) -> None:
    row = night.counts()
    assert (row["ready"], row["dead"]) == (READY, DEAD)
    if not night.whole:
        assert (row["delayed"], row["running"]) == (DELAYED, RUNNING)
        assert [one["queue"] for one in night.json("queues")] == [QUEUE]
    _look_at_tasks(night)
    _look_at_the_dead(night)
    _look_at_workers(night)
    assert night("health") == "healthy\n"


def _look_at_tasks(night: Night) -> None:
    if night.whole:
        assert "cannot list messages" in night("tasks", "list", "--queue", QUEUE, code=2)
        assert "cannot list ready" in night("tasks", "list", "--state", "ready", code=2)
        assert "cannot find ready-1" in night("tasks", "show", "ready-1", "--queue", QUEUE, code=2)
        return
    amounts = {"running": RUNNING, "ready": READY, "delayed": DELAYED, "dead": DEAD}
    for state, amount in amounts.items():
        rows = night.json("tasks", "list", "--state", state, "--limit", "20000")
        assert (len(rows), {row["state"] for row in rows}) == (amount, {state})
    rows = night.json("tasks", "list", "--name", "shop:mail", "--limit", "5", "--offset", "7")
    assert [row["task"] for row in rows] == ["shop:mail"] * 3
    shown = night.json("tasks", "show", "running-3")
    assert (shown["state"], shown["attempts"]) == ("running", 1)
    assert shown["kwargs"] == {"to": "a@example.com"}
    assert "no message with the id nobody" in night("tasks", "show", "nobody", code=1)


def _look_at_the_dead(night: Night) -> None:
    rows = night.json("dead", "list", "--queue", QUEUE, "--name", "shop:charge")
    assert len(rows) == 19
    rows = night.json("dead", "list", "--queue", QUEUE, "--error", "refused", "--limit", "15")
    assert {row["error"] for row in rows} == {"ConnectionError: refused"}
    assert len(rows) == 15
    assert night.json("dead", "list", "--queue", QUEUE, "--older-than", "1d") == []
    assert len(night.json("dead", "list", "--queue", QUEUE, "--newer-than", "1d")) == DEAD
    assert "<script>" in night("dead", "list", "--queue", QUEUE)
    assert "<b>bold</b>" in night("dead", "show", f"dead-{DEAD - 1}", "--queue", QUEUE)
    assert "nobody" in night("dead", "show", "nobody", "--queue", QUEUE, code=1)
    assert night.json("dead", "list", "--queue", "no-such-queue") == []


def _look_at_workers(night: Night) -> None:
    if not isinstance(night.driver, Workers):
        assert "cannot list workers" in night("workers", code=2)
        return
    info = WorkerInfo("w-1", "host", 7, (QUEUE,), 10, 2, 99, 60.0)
    night.loop.run(night.driver.heartbeat(info, ttl=300))
    (row,) = night.json("workers")
    assert (row["id"], row["queues"], row["done"]) == ("w-1", [QUEUE], 99)
    assert night("health", "--queue", QUEUE, "--worker-id", "w-1") == "healthy\n"
    assert "no live worker" in night("health", "--worker-id", "w-2", code=1)
    assert "no live worker" in night("health", "--queue", "no-such-queue", code=1)
    night.loop.run(night.driver.forget("w-1"))


def test_exactly_the_chosen_dead_come_back(night: Night) -> None:
    chosen = ("--queue", QUEUE, "--name", "shop:charge", "--error", "refused")
    assert set(night.json("dead", "requeue", *chosen, "--dry-run")) == set(CHARGED)
    assert night.counts()["dead"] == DEAD
    assert set(night.json("dead", "requeue", *chosen)) == set(CHARGED)
    left = {row["id"] for row in night.json("dead", "list", "--queue", QUEUE)}
    assert left == {f"dead-{n}" for n in range(DEAD)} - set(CHARGED)
    row = night.counts()
    assert (row["ready"], row["dead"]) == (READY + 10, DEAD - 10)
    assert night.json("dead", "purge", "--yes", "--queue", QUEUE, "--error", "bad") != []
    assert night("dead", "requeue", "--all", "--queue", QUEUE) == "11 requeued\n"
    assert night.counts()["dead"] == 0


def test_waiting_and_running_ones_are_taken_away(night: Night) -> None:
    _cancel(night)
    _pause(night)
    Path("night_shift.py").write_text(SHIFT)
    call = ("enqueue", "night", "--import", "night_shift", "--queue", QUEUE)
    assert night(*call, "--args", '["x"]').strip()
    ready = night.counts()["ready"]
    assert ready == READY + 1 - (0 if night.whole else 1)
    assert night("purge", QUEUE, "--state", "dead", "--yes") == f"{DEAD} removed\n"
    if night.whole:
        assert "delayed" in night("purge", QUEUE, "--state", "delayed", "--yes", code=1)
    else:
        assert night.json("purge", QUEUE, "--state", "delayed")["removed"] == DELAYED - 1
    assert night.json("purge", QUEUE, "--state", "ready")["removed"] == ready
    assert night("purge", "no-such-queue", "--state", "ready") == "0 removed\n"
    row = night.counts()
    assert (row["ready"], row["dead"]) == (0, 0)


SHIFT = """
from asynctasq import task

@task(name="night")
async def night(word: str): ...
"""


def _cancel(night: Night) -> None:
    if night.whole:
        assert "cannot cancel" in night("cancel", "ready-1", "--queue", QUEUE, code=2)
        return
    assert night.json("cancel", "ready-1", "delayed-1") == [
        {"id": "ready-1", "outcome": "removed"},
        {"id": "delayed-1", "outcome": "removed"},
    ]
    for one in ("ready-1", "dead-1", "nobody"):
        assert one in night("cancel", one, code=1)
    if not isinstance(night.driver, Control):
        assert "cannot revoke" in night("cancel", "running-1", code=1)
        return
    assert night.json("cancel", "running-1") == [{"id": "running-1", "outcome": "revoked"}]
    held = [one for one in night.held if one.id == "running-1"]
    assert list(night.loop.run(night.driver.extend(held, lease=60))) == held


def _pause(night: Night) -> None:
    if not isinstance(night.driver, Control):
        assert "cannot pause queues" in night("pause", QUEUE, code=2)
        assert night.counts()["paused"] is None
        return
    assert night("pause", QUEUE) == f"{QUEUE}: paused\n"
    assert night.counts()["paused"] is True
    again = night.json("pause", QUEUE)
    assert again == [{"queue": QUEUE, "paused": True, "changed": False}]
    assert night("resume", QUEUE) == f"{QUEUE}: resumed\n"
    assert night.counts()["paused"] is False


def test_sqs_reports_missing_capabilities(quiet_night: Night) -> None:
    night = quiet_night
    assert night("health") == "healthy\n"
    until(lambda: night.counts()["dead"] == 2, "the counts are there")
    for words in (
        ["tasks", "list", "--queue", QUEUE],
        ["tasks", "list", "--queue", QUEUE, "--state", "running"],
        ["cancel", "ready-1", "--queue", QUEUE],
    ):
        assert "use the AWS console, or stop its workers" in night(*words, code=2)
    if not isinstance(night.driver, Workers):
        assert "use the AWS console" in night("workers", code=2)
    _pause(night)
    assert night.json("dead", "requeue", "--queue", QUEUE, "--name", "shop:none") == []
    chosen = ("--queue", QUEUE, "--name", "shop:charge", "--error", "refused")
    assert set(night.json("dead", "requeue", *chosen)) == {"dead-0", "dead-1"}


def test_watching_survives_the_broker(redis_server: RedisServer, tmp_path: Path) -> None:
    redis_server.start()
    command = [sys.executable, "-m", "asynctasq", "queues", "--watch", "0.1", "--json"]
    options = ["--driver", "redis", "--redis-url", redis_server.url]
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, *options], cwd=tmp_path, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        lines = (json.loads(line) for line in process.stdout)
        assert next(lines)["queues"] == []
        redis_server.kill()
        assert "cannot reach Redis" in next(one for one in lines if "problem" in one)["problem"]
        redis_server.start()
        assert next(one for one in lines if "queues" in one)["queues"] == []
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(30) == 130
