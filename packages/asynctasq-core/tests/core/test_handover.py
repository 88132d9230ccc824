"""Calls of a dispatcher from another event loop: cancelled, left, or made too late."""

import asyncio
import threading
import uuid
from collections.abc import Sequence

import pytest
import tasks_for_tests as tasks
from worker_for_tests import wait_until

from asynctasq import BrokerUnavailable, TaskError
from asynctasq.core.producer import handover
from asynctasq.core.producer.client import client
from asynctasq.core.producer.dispatcher import Dispatcher
from asynctasq.drivers import BaseDriver, Message
from asynctasq.drivers.memory import MemoryDriver, MemorySettings
from asynctasq.events import EventStream
from asynctasq.serialization import EnvelopeCodec, MsgpackSerializer

pytestmark = pytest.mark.anyio


class Slow(MemoryDriver):
    """Stores when it may."""

    def __init__(self) -> None:
        super().__init__(MemorySettings(memory_url=f"memory://{uuid.uuid4().hex}"))
        self.open = asyncio.Event()
        self.waiting = 0

    async def enqueue(self, messages: Sequence[Message]) -> None:
        self.waiting += 1
        await self.open.wait()
        await super().enqueue(messages)


def dispatcher(driver: BaseDriver) -> Dispatcher:
    return Dispatcher(driver, EnvelopeCodec(MsgpackSerializer()), client.config, EventStream([]))


async def test_a_caller_that_is_cancelled_takes_nobody_along() -> None:
    driver = Slow()
    one = dispatcher(driver)

    async def cancelled() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(one.dispatch(tasks.note("x")), 0.05)

    await asyncio.to_thread(asyncio.run, cancelled())
    mine = asyncio.create_task(one.dispatch(tasks.note("y")))
    await wait_until(lambda: driver.waiting == 1)
    driver.open.set()
    async with asyncio.timeout(20):
        assert (await mine).id
        assert (await one.dispatch(tasks.note("z"))).id


async def test_a_loop_that_ends_before_its_answer_takes_nobody_along() -> None:
    driver = Slow()
    one = dispatcher(driver)

    async def leave() -> None:
        leaving = asyncio.create_task(one.dispatch(tasks.note("x")))
        while not driver.waiting:
            await asyncio.sleep(0.001)
        assert not leaving.done()

    await asyncio.to_thread(asyncio.run, leave())
    driver.open.set()
    async with asyncio.timeout(20):
        assert (await one.dispatch(tasks.note("z"))).id


async def test_a_dispatcher_whose_loop_is_closed_says_so() -> None:
    made: list[Dispatcher] = []

    async def make() -> None:
        made.append(dispatcher(Slow()))

    await asyncio.to_thread(asyncio.run, make())
    with pytest.raises(TaskError, match="the event loop that dispatches is closed") as caught:
        await made[0].dispatch(tasks.note("x"))
    assert "\n" not in str(caught.value)
    with pytest.raises(TaskError, match="the event loop that dispatches is closed"):
        await asyncio.to_thread(made[0].dispatch_sync, tasks.note("x"))


async def test_a_loop_that_does_not_move_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handover, "PATIENCE", 0.2)
    monkeypatch.setattr(handover, "CHECK_INTERVAL", 0.05)
    driver = Slow()
    driver.open.set()
    one = dispatcher(driver)
    errors: list[BaseException] = []

    def call() -> None:
        try:
            asyncio.run(one.dispatch(tasks.note("x")))  # type: ignore[arg-type]
        except BrokerUnavailable as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(20)  # the loop is blocked by who waits for what needs it
    assert len(errors) == 1
    await asyncio.sleep(0.05)
    assert driver.waiting == 0  # nor is it stored later, when the caller was told it is not
