"""Events reach emitters, and emitters never affect the worker."""

import asyncio
import logging

import pytest

from asynctasq.drivers.capabilities.workers import WorkerInfo
from asynctasq.events import Event, EventStream, WorkerHeartbeat
from asynctasq.events import stream as stream_module

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def event(number: int) -> Event:
    info = WorkerInfo("w", "host", 1, ("q",), 1, 0, number, 0.0)
    return WorkerHeartbeat(time=float(number), info=info)


class Recorder:
    """Remembers, and fails where it is told to."""

    def __init__(self, **failures: BaseException) -> None:
        self.failures = failures
        self.times: list[float] = []

    async def emit(self, event: Event) -> None:
        self.times.append(event.time)
        await asyncio.sleep(0)
        if error := self.failures.get(f"at_{event.time:.0f}"):
            raise error


class Stuck:
    """Hangs, and may ignore that it is cancelled."""

    def __init__(self, *, ignores_cancellation: bool) -> None:
        self.ignores = ignores_cancellation
        self.calls = 0
        self.released = asyncio.Event()

    async def emit(self, event: Event) -> None:
        self.calls += 1
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                if not self.ignores:
                    raise


async def emit(stream: EventStream, count: int) -> None:
    async with stream:
        for number in range(count):
            stream.emit(lambda number=number: event(number))
            await asyncio.sleep(0)


async def test_every_emitter_gets_every_event_in_order() -> None:
    one, two = Recorder(), Recorder()
    await emit(EventStream([one, two]), 50)
    assert one.times == two.times == [float(n) for n in range(50)]


async def test_an_emitter_that_fails_gets_the_next_event(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder(at_1=RuntimeError("no"), at_2=asyncio.CancelledError())
    with caplog.at_level(logging.WARNING):
        await emit(EventStream([recorder]), 4)
    assert recorder.times == [0.0, 1.0, 2.0, 3.0]
    assert len(caplog.records) == 2


@pytest.mark.parametrize("ignores_cancellation", [True, False])
async def test_an_emitter_that_hangs_holds_up_nobody(
    ignores_cancellation: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(stream_module, "PATIENCE", 0.05)
    stuck, recorder = Stuck(ignores_cancellation=ignores_cancellation), Recorder()
    before = asyncio.all_tasks()
    async with asyncio.timeout(10):
        await emit(EventStream([stuck, recorder]), 3)
    assert recorder.times == [0.0, 1.0, 2.0]
    assert stuck.calls == 1
    assert "too slow" in caplog.text
    stuck.released.set()
    async with asyncio.timeout(10):
        while asyncio.all_tasks() - before:
            await asyncio.sleep(0.01)


async def test_a_full_buffer_drops_the_oldest_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stream_module, "CAPACITY", 3)
    recorder = Recorder()
    stream = EventStream([recorder])
    async with stream:
        for number in range(10):
            stream.emit(lambda number=number: event(number))
    assert recorder.times == [7.0, 8.0, 9.0]
    assert caplog.text.count("events are dropped") == 1


async def test_without_emitters_no_event_is_even_made() -> None:
    stream = EventStream([])
    assert not stream
    stream.emit(lambda: pytest.fail("made"))
