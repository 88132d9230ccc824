"""What a worker tells."""

import pytest
import tasks_for_tests as tasks
from worker_for_tests import NewDriver, work

from asynctasq.events import Event, TaskSucceeded, WorkerOffline, WorkerOnline

pytestmark = pytest.mark.anyio


class Recorder:
    """An emitter that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def emit(self, event: Event) -> None:
        self.events.append(event)


class Broken:
    """An emitter that raises."""

    async def emit(self, event: Event) -> None:
        raise RuntimeError("broken emitter")


async def test_events_tell_and_harm_nobody(new_driver: NewDriver, ran: list[object]) -> None:
    recorder = Recorder()
    await work(new_driver, tasks.note("x"), emitters=[Broken(), recorder])
    assert ran == ["x"]
    kinds = [type(event) for event in recorder.events]
    assert kinds[0] is WorkerOnline
    assert kinds[-1] is WorkerOffline
    assert TaskSucceeded in kinds
