"""Events on a channel."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.client import PubSub

from asynctasq import Config
from asynctasq.drivers import WorkerInfo
from asynctasq.events import TaskSucceeded, WorkerHeartbeat, make_emitter
from asynctasq_redis import RedisEmitter, RedisSettings, emitter

pytestmark = pytest.mark.anyio


def succeeded(task_id: str) -> TaskSucceeded:
    return TaskSucceeded(
        time=1.5, worker_id="w", task_id=task_id, name="tasks:hello", queue="q",
        correlation_id=None, attempt=1, duration=0.25,
    )  # fmt: skip


@contextmanager
def listening(url: str, channel: str) -> Iterator[PubSub]:
    with Redis.from_url(url, decode_responses=True) as client, client.pubsub() as pubsub:
        pubsub.subscribe(channel)
        assert pubsub.get_message(timeout=10) is not None  # that it is subscribed
        yield pubsub


def heard(pubsub: PubSub) -> dict[str, object]:
    message = pubsub.get_message(ignore_subscribe_messages=True, timeout=10)
    assert message is not None
    return json.loads(message["data"])


async def test_events_are_json_on_the_channel(settings: RedisSettings) -> None:
    one = RedisEmitter(settings)
    assert one.channel == f"{settings.redis_prefix}:events"
    with listening(settings.redis_url.get_secret_value(), one.channel) as pubsub:
        await one.emit(succeeded("a"))
        assert heard(pubsub) == {
            "event": "task_succeeded", "time": 1.5, "worker_id": "w", "task_id": "a",
            "task_name": "tasks:hello", "queue": "q", "attempt": 1, "duration": 0.25,
        }  # fmt: skip
        info = WorkerInfo("w", "host", 1, ("q",), 10, 2, 3, 4.0)
        await one.emit(WorkerHeartbeat(time=2.0, info=info))
        beat = heard(pubsub)
        assert (beat["event"], beat["worker_id"], beat["queues"]) == (
            "worker_heartbeat",
            "w",
            ["q"],
        )
    await one.close()


async def test_a_broker_that_is_away_drops_events_and_logs_once(
    server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(emitter, "PAUSE", 0.05)
    caplog.set_level(logging.INFO, logger="asynctasq.events")
    place = server("--save", "", "--appendonly", "no")
    settings = RedisSettings(redis_url=SecretStr(place.url))
    one = RedisEmitter(settings, channel="events")
    await one.emit(succeeded("before"))
    place.stop()
    for number in range(20):
        await one.emit(succeeded(f"lost-{number}"))
        await asyncio.sleep(0.01)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    place.start()
    with listening(place.url, "events") as pubsub:
        deadline = time.monotonic() + 10
        while len(caplog.records) < 2:
            assert time.monotonic() < deadline
            await one.emit(succeeded("after"))
            await asyncio.sleep(0.01)
        assert heard(pubsub)["task_id"] == "after"
    assert "published again" in caplog.messages[1]
    await one.close()


async def test_an_emitter_serves_several_event_loops(settings: RedisSettings) -> None:
    one = RedisEmitter(settings)

    async def emit_and_close(task_id: str) -> None:
        await one.emit(succeeded(task_id))
        await one.close()

    with listening(settings.redis_url.get_secret_value(), one.channel) as pubsub:
        await one.emit(succeeded("here"))
        await asyncio.to_thread(asyncio.run, emit_and_close("elsewhere"))
        await one.emit(succeeded("here again"))
        assert [heard(pubsub)["task_id"] for _ in range(3)] == ["here", "elsewhere", "here again"]
    await one.close()


def test_it_is_found_by_name_and_uses_the_drivers_server() -> None:
    config = Config(driver="redis", redis_url="redis://localhost:1", redis_events_channel="c")
    made = make_emitter("redis", config)
    assert isinstance(made, RedisEmitter)
    assert made.channel == "c"


def test_secrets_are_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    settings = RedisSettings(redis_url=SecretStr("redis://user:hunter2@localhost:1"))
    one = RedisEmitter(settings)
    asyncio.run(one.emit(succeeded("a")))
    assert "events are dropped" in caplog.text
    assert "hunter2" not in caplog.text + repr(one)
