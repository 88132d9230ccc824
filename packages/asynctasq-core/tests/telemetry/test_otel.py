"""Spans of dispatches and attempts."""

import asyncio
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.sdk", reason="no OpenTelemetry SDK is installed")

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from asynctasq import (
    BrokerUnavailable,
    Config,
    DriverFactory,
    TaskCall,
    Worker,
    dispatch_many,
    task,
)
from asynctasq.core.producer.client import client
from asynctasq.drivers.memory import MemoryDriver
from asynctasq.otel import instrument, uninstrument

sys.path.insert(0, str(Path(__file__).parent))

import traced_tasks

pytestmark = pytest.mark.anyio


@task(name="traced-child", queue="others")
async def child() -> None:
    logging.getLogger("child").info("runs")


@task(name="traced-parent")
async def parent() -> None:
    await child().dispatch()


@task(name="traced-in-thread")
def in_thread() -> None:
    child().dispatch_sync()


@task(name="traced-in-a-loop-of-its-own")
def in_a_loop() -> None:
    asyncio.run(child().dispatch())  # type: ignore[arg-type]


@task(name="traced-flaky", max_attempts=2, retry_delay=0)
async def fail() -> None:
    raise ValueError("broken")


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrument(provider)
    yield exporter
    uninstrument()
    provider.shutdown()


async def work(config: Config, *calls: TaskCall[None]) -> None:
    await dispatch_many(calls)
    driver = DriverFactory.create_from_config(config)
    await Worker(driver, ["default", "others"], burst=True, worker_id="me").start()


def by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def ids(span: ReadableSpan) -> tuple[int, int]:
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def parent_of(span: ReadableSpan) -> tuple[int, int] | None:
    return (span.parent.trace_id, span.parent.span_id) if span.parent else None


CALLS = [parent(), in_thread(), in_a_loop()]


@pytest.mark.parametrize("call", CALLS, ids=["loop", "thread", "other loop"])
async def test_a_trace_leads_from_dispatch_to_run_to_what_that_dispatched(
    config: Config, exporter: InMemorySpanExporter, call: TaskCall[None]
) -> None:
    await work(config, call)
    spans = by_name(exporter)
    chain = ["send default", "process default", "send others", "process others"]
    assert [spans[name].kind for name in chain] == [SpanKind.PRODUCER, SpanKind.CONSUMER] * 2
    assert [parent_of(spans[name]) for name in chain] == [
        None, *(ids(spans[name]) for name in chain[:-1]),
    ]  # fmt: skip
    sent, run = spans["send others"].attributes or {}, spans["process others"].attributes or {}
    assert sent["messaging.message.id"] == run["messaging.message.id"]
    assert {name: run[name] for name in run if not name.endswith(("id", ".size"))} == {
        "messaging.system": "asynctasq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "others",
        "asynctasq.task.name": "traced-child",
        "asynctasq.task.attempt": 1,
        "asynctasq.task.max_attempts": 3,
    }
    assert run["messaging.client.id"] == "me"
    parent_id = (spans["process default"].attributes or {})["messaging.message.id"]
    assert run["messaging.message.conversation_id"] == parent_id


async def test_every_attempt_is_a_span_with_its_error(
    config: Config, exporter: InMemorySpanExporter
) -> None:
    await work(config, fail())
    runs = [s for s in exporter.get_finished_spans() if s.kind is SpanKind.CONSUMER]
    assert [(s.attributes or {})["asynctasq.task.attempt"] for s in runs] == [1, 2]
    for span in runs:
        assert span.status.status_code is StatusCode.ERROR
        assert (span.attributes or {})["error.type"] == "ValueError"
        (event,) = span.events
        assert (event.attributes or {})["exception.message"] == "broken"
    assert len({s.context.trace_id for s in runs if s.context}) == 1


async def test_a_batch_is_one_span(config: Config, exporter: InMemorySpanExporter) -> None:
    await work(config, child(), child(), parent())
    first = exporter.get_finished_spans()[0]
    assert first.name == "send"
    assert (first.attributes or {})["messaging.batch.message_count"] == 3
    assert "messaging.destination.name" not in (first.attributes or {})


async def test_a_dispatch_that_fails_says_so(
    exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise BrokerUnavailable("away")

    monkeypatch.setattr(MemoryDriver, "enqueue", refuse)
    with pytest.raises(BrokerUnavailable):
        await child().dispatch()
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "asynctasq.errors.BrokerUnavailable"


async def test_a_span_of_the_caller_is_the_parent(
    config: Config, exporter: InMemorySpanExporter
) -> None:
    tracer = TracerProvider().get_tracer("caller")
    with tracer.start_as_current_span("request") as request:
        await child().dispatch()
    await work(config)
    context = request.get_span_context()
    assert parent_of(by_name(exporter)["send others"]) == (context.trace_id, context.span_id)


async def test_the_trace_goes_on_in_a_process_of_the_pool(
    tmp_path: Path, exporter: InMemorySpanExporter
) -> None:
    path = tmp_path / "trace"
    await work(client.config, traced_tasks.tell_trace(str(path)))
    run = by_name(exporter)["process default"]
    assert path.read_text() == f"{ids(run)[0]} {ids(run)[1]}"


async def test_without_it_nothing_travels(config: Config) -> None:
    with TracerProvider().get_tracer("caller").start_as_current_span("request"):
        await child().dispatch()
    driver = DriverFactory.create_from_config(config)
    await driver.connect()
    (delivery,) = await driver.dequeue(["others"], limit=1, lease=10, wait=0)
    assert b"traceparent" not in delivery.body
    await driver.disconnect()
    assert not trace.get_current_span().get_span_context().is_valid
