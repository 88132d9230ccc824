"""The stream of snapshots, and the poller behind it."""

import asyncio

import pytest

pytest.importorskip("starlette", reason="needs the extra web")
pytest.importorskip("httpx", reason="needs httpx")

from asynctasq.drivers import QueueStats, WorkerInfo
from asynctasq.drivers.memory import MemoryDriver
from asynctasq.errors import BrokerRejected, BrokerUnavailable
from asynctasq_cli.web import create_app, poller
from asynctasq_cli.web.sessions import COOKIE

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "INTERVAL", 0.01)


async def settled(condition) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


def snapshots(name: str, data: object) -> bool:
    return name == "snapshot"


async def test_snapshots_follow_the_broker(config, broker, watch) -> None:
    app = create_app(config)
    await broker.store("a")
    async with watch(app) as stream:
        (queue,) = (await stream.until(snapshots))["queues"]
        assert (queue["queue"], queue["ready"], queue["dead"]) == ("q", 1, 0)
        await broker.bury("b")
        await broker.store("c")
        seen = await stream.until(lambda _, data: data["queues"][0]["ready"] == 2)
        assert seen["queues"][0]["dead"] == 1
        assert seen["queues"][0]["history"][-1] == 2
        assert seen["queues"][0]["rate"] > 0


async def test_paused_queues_and_those_of_workers_are_shown_though_empty(
    config, broker, watch
) -> None:
    info = WorkerInfo("w-1", "host", 7, ("served",), 10, 3, 99, 12.0)
    await broker.heartbeat(info, ttl=60)
    await broker.pause("held")
    async with watch(create_app(config)) as stream:
        seen = await stream.until(snapshots)
    assert [(q["queue"], q["paused"]) for q in seen["queues"]] == [
        ("held", True), ("served", False),
    ]  # fmt: skip
    (worker,) = seen["workers"]
    assert (worker["id"], worker["queues"], worker["running"]) == ("w-1", ["served"], 3)
    assert worker["heard"] >= 0


async def test_one_poller_serves_all_viewers_and_stops_without_any(
    config, broker, watch, monkeypatch
) -> None:
    connected, left = [], []
    monkeypatch.setattr(MemoryDriver, "connect", _counting(connected))
    monkeypatch.setattr(MemoryDriver, "disconnect", _counting(left))
    app = create_app(config)
    polls = app.state.dashboard.poller
    assert not polls.polling
    async with watch(app) as first, watch(app) as second:
        await first.until(snapshots)
        await second.until(snapshots)
        assert polls.polling
        assert (len(connected), len(left)) == (1, 0)
    await settled(lambda: not polls.polling)
    assert (len(connected), len(left)) == (1, 1)
    async with watch(app) as again:
        await again.until(snapshots)
    await settled(lambda: len(left) == 2)


def _counting(calls: list[int]):
    async def call(self: MemoryDriver) -> None:
        calls.append(1)

    return call


async def test_a_later_viewer_gets_a_snapshot_at_once(config, broker, watch, monkeypatch) -> None:
    monkeypatch.setattr(poller, "INTERVAL", 3600.0)
    app = create_app(config)
    async with watch(app) as first:
        await first.until(snapshots)
        async with watch(app) as second:
            await second.until(snapshots)


async def test_a_broker_that_goes_away_is_event_and_comes_back(
    config, broker, watch, monkeypatch
) -> None:
    away = False
    list_queues = MemoryDriver.queues

    async def queues(self: MemoryDriver):
        if away:
            raise BrokerUnavailable("the broker is away")
        return await list_queues(self)

    monkeypatch.setattr(MemoryDriver, "queues", queues)
    async with watch(create_app(config)) as stream:
        await stream.until(snapshots)
        away = True
        event = await stream.until(lambda name, _: name == "problem")
        assert event == {"problem": "the broker is away"}
        away = False
        await stream.until(snapshots)


async def test_a_broker_that_does_not_answer_is_event(config, watch, monkeypatch) -> None:
    async def hang(self: MemoryDriver):
        await asyncio.Event().wait()

    monkeypatch.setattr(MemoryDriver, "queues", hang)
    monkeypatch.setattr(poller, "PATIENCE", 0.02)
    async with watch(create_app(config)) as stream:
        event = await stream.until(lambda name, _: name == "problem")
    assert event == {"problem": "no response within 0.02 seconds"}


async def test_a_driver_that_breaks_is_event_and_logged(config, watch, monkeypatch, caplog) -> None:
    async def broken(self: MemoryDriver):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(MemoryDriver, "queues", broken)
    async with watch(create_app(config)) as stream:
        event = await stream.until(lambda name, _: name == "problem")
    assert "ZeroDivisionError" in event["problem"]
    assert "secret" not in event["problem"]
    assert "secret" in caplog.text


async def test_a_broker_that_does_not_list_queues_shows_those_it_knows_of(
    config, broker, watch, monkeypatch
) -> None:
    async def refuse(self: MemoryDriver) -> list[QueueStats]:
        raise BrokerRejected("this broker does not list queues")

    monkeypatch.setattr(MemoryDriver, "queues", refuse)
    await broker.pause("held")
    async with watch(create_app(config)) as stream:
        seen = await stream.until(snapshots)
    assert [queue["queue"] for queue in seen["queues"]] == [config.default_queue, "held"]
    assert "does not list queues; name queues with --queue" in seen["note"]


async def test_only_the_named_queues_are_shown(config, broker, watch) -> None:
    await broker.store("a", queue="mine")
    await broker.store("b", queue="theirs")
    async with watch(create_app(config, queues=["mine", "empty", "mine"])) as stream:
        seen = await stream.until(snapshots)
    assert [queue["queue"] for queue in seen["queues"]] == ["mine", "empty"]


async def test_the_stream_ends_with_the_session(
    config, broker, watch, client, token, monkeypatch
) -> None:
    app = create_app(config, token=token)
    page = client(app)
    await page.post("/login", json={"token": token})
    cookie = f"{COOKIE}={page.cookies[COOKIE]}"
    async with watch(app, cookie) as stream:
        await stream.until(snapshots)
        monkeypatch.setattr(app.state.dashboard.sessions, "valid", lambda _: False)
        await stream.until(lambda name, _: name == "")


async def test_the_stream_ends_with_the_server(config, broker, watch) -> None:
    app = create_app(config)
    async with watch(app) as stream:
        async with app.router.lifespan_context(app):
            await stream.until(snapshots)
        await stream.until(lambda name, _: name == "")
        assert not app.state.dashboard.poller.polling


async def test_a_viewer_that_disconnects_is_dropped(config, broker, watch) -> None:
    app = create_app(config)
    async with watch(app) as stream:
        await stream.until(snapshots)
        stream.broken = True
        await settled(lambda: not app.state.dashboard.poller.polling)
