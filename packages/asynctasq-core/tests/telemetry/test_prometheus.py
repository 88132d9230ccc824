"""Metrics and health over HTTP, as for a scraper and a probe."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http.client import HTTPConnection

import pytest

pytest.importorskip("prometheus_client", reason="the extra prometheus is not installed")

from prometheus_client import CollectorRegistry

from asynctasq import BrokerUnavailable, Config, DriverFactory, Worker, current_context, task
from asynctasq.events import LeaseLost
from asynctasq.prometheus import Metrics, MetricsServer, gauges, health

pytestmark = pytest.mark.anyio


@task(name="measured-ok")
async def ok() -> None: ...


@task(name="measured-flaky", max_attempts=2, retry_delay=0)
async def flaky() -> None:
    if current_context().attempt == 1:
        raise ConnectionError


@task(name="measured-hopeless", max_attempts=1)
async def hopeless() -> None:
    raise ValueError


@task(name="measured-block")
async def block(seconds: float) -> None:
    time.sleep(seconds)


class Place:
    """A running worker and its server."""

    def __init__(self, worker: Worker, server: MetricsServer, registry: CollectorRegistry) -> None:
        self.worker = worker
        self.server = server
        self.registry = registry

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"asynctasq_{name}", labels)

    async def get(self, path: str) -> tuple[int, str]:
        return await asyncio.to_thread(fetch, self.server.port, path)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.01)


def fetch(port: int, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Place]:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    worker = Worker(DriverFactory.create_from_config(config), emitters=[metrics], concurrency=7)
    server = MetricsServer(worker, registry=registry, host="127.0.0.1", port=0)
    async with server:
        run = asyncio.create_task(worker.start())
        place = Place(worker, server, registry)
        await place.until(lambda: worker.status() is not None)
        yield place
        await worker.stop()
        await run


async def test_what_tasks_did_is_counted_and_measured(config: Config) -> None:
    async with running(config) as place:
        for call in (ok(), ok(), flaky(), hopeless()):
            await call.dispatch()
        found = {
            ("measured-ok", "succeeded"): 2.0,
            ("measured-flaky", "retried"): 1.0,
            ("measured-flaky", "succeeded"): 1.0,
            ("measured-hopeless", "dead"): 1.0,
        }
        for (name, outcome), count in found.items():
            await place.until(
                lambda labels=(name, outcome), count=count: place.value(
                    "tasks_total", task=labels[0], queue="default", outcome=labels[1]
                ) == count
            )  # fmt: skip
        duration = "task_duration_seconds_count"
        assert place.value(duration, task="measured-flaky", queue="default") == 2
        assert place.value("queue_latency_seconds_count", queue="default") == 4
        await place.until(lambda: (place.value("settle_batch_size_sum") or 0) == 5)
        status, text = await place.get("/metrics")
    assert status == 200
    assert (
        'asynctasq_tasks_total{outcome="dead",queue="default",task="measured-hopeless"} 1.0' in text
    )
    assert "asynctasq_worker_concurrency 7.0" in text
    assert "asynctasq_worker_broker_up 1.0" in text


async def test_lost_leases_are_counted() -> None:
    registry = CollectorRegistry()
    lost = LeaseLost(time=0.0, worker_id="w", task_id="t", queue="q", attempt=1)
    await Metrics(registry).emit(lost)
    assert registry.get_sample_value("asynctasq_lease_losses_total", {"queue": "q"}) == 1


async def test_a_scrape_counts_the_backlog_and_spares_the_broker(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(config) as place:
        asked = 0
        backlog = place.worker.backlog

        async def count() -> object:
            nonlocal asked
            asked += 1
            return await backlog()

        monkeypatch.setattr(place.worker, "backlog", count)
        await ok().delay(60).dispatch()
        await hopeless().dispatch()
        await place.until(
            lambda: (
                place.value(
                    "tasks_total", task="measured-hopeless", queue="default", outcome="dead"
                )
                == 1
            )
        )
        for _ in range(5):
            _, text = await place.get("/metrics")
        assert 'asynctasq_queue_messages{queue="default",state="delayed"} 1.0' in text
        assert asked == 1


async def test_a_broker_that_hangs_holds_up_no_scrape(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gauges, "PATIENCE", 0.05)
    monkeypatch.setattr(gauges, "EVERY", 0.0)
    async with running(config) as place:
        calls = 0

        async def hang() -> object:
            nonlocal calls
            calls += 1
            return await asyncio.Event().wait()

        monkeypatch.setattr(place.worker, "backlog", hang)
        for _ in range(3):
            status, text = await place.get("/metrics")
            assert status == 200
            assert "asynctasq_queue_messages{" not in text
        assert calls == 1


async def test_health_follows_the_broker(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LIMIT", 0.2)
    async with running(config) as place:
        assert await place.get("/healthz") == (200, "healthy\n")
        driver = place.worker._driver  # pyright: ignore[reportPrivateUsage]
        away = True

        async def dequeue(*_: object, **__: object) -> object:
            if away:
                raise BrokerUnavailable("away")
            await asyncio.sleep(0.01)
            return ()

        monkeypatch.setattr(driver, "dequeue", dequeue)
        await ok().dispatch()  # which ends the fetch that is under way
        status = place.worker.status
        await place.until(lambda: (found := status()) is not None and found.broker_silence > 0.2)
        code, text = await place.get("/healthz")
        assert (code, text.startswith("the broker has not answered")) == (503, True)
        away = False
        await place.until(lambda: (found := status()) is not None and not found.broker_silence)
        assert (await place.get("/healthz"))[0] == 200


async def test_health_sees_a_blocked_event_loop(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LIMIT", 0.2)
    monkeypatch.setattr(health, "PATIENCE", 0.3)
    async with running(config) as place:
        codes: list[int] = []

        def probe_until_ill() -> None:
            deadline = time.monotonic() + 20
            while 503 not in codes and time.monotonic() < deadline:
                codes.append(fetch(place.server.port, "/healthz")[0])

        probing = asyncio.create_task(asyncio.to_thread(probe_until_ill))
        await place.until(lambda: 200 in codes)
        await block(2.0).dispatch()
        await probing
        assert codes[-1] == 503
        assert (await place.get("/healthz"))[0] == 200


async def test_before_and_after_its_run_a_worker_is_not_healthy(config: Config) -> None:
    registry = CollectorRegistry()
    worker = Worker(DriverFactory.create_from_config(config), burst=True)
    async with MetricsServer(worker, registry=registry, host="127.0.0.1", port=0) as server:
        assert await asyncio.to_thread(fetch, server.port, "/healthz") == (
            503, "the worker does not run\n",
        )  # fmt: skip
        assert (await asyncio.to_thread(fetch, server.port, "/"))[0] == 404
    with pytest.raises(ConnectionError):
        fetch(server.port, "/healthz")


async def test_a_port_in_use_is_an_error_at_once(config: Config) -> None:
    worker = Worker(DriverFactory.create_from_config(config))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = MetricsServer(worker, registry=CollectorRegistry(), host="127.0.0.1", port=port)
        with pytest.raises(OSError, match="in use"):
            await server.__aenter__()
