"""Each caller of a dispatcher gets an answer, whatever its driver does, and when it ends."""

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from worker_for_tests import wait_until

from asynctasq import BrokerRejected, BrokerUnavailable, EnqueueFailed, task
from asynctasq.core.producer.client import client
from asynctasq.core.producer.dispatcher import Dispatcher
from asynctasq.drivers import Message, State
from asynctasq.drivers.memory import MemoryDriver, MemorySettings
from asynctasq.events import EventStream
from asynctasq.serialization import EnvelopeCodec, MsgpackSerializer

pytestmark = pytest.mark.anyio


@task(name="answers-test", queue="own")
async def work(number: int) -> None: ...


class Driver(MemoryDriver):
    """Calls `act` with each batch, and stores it if that returns."""

    def __init__(self, act: Callable[[Sequence[Message]], Any]) -> None:
        super().__init__(MemorySettings(memory_url=f"memory://{uuid.uuid4().hex}"))
        self.act = act
        self.calls = 0
        self.disconnects = 0

    async def enqueue(self, messages: Sequence[Message]) -> None:
        self.calls += 1
        await asyncio.sleep(0)
        result = self.act(messages)
        if result is not None:
            await result
        await super().enqueue(messages)

    async def disconnect(self) -> None:
        self.disconnects += 1
        await super().disconnect()


def dispatcher(driver: MemoryDriver) -> Dispatcher:
    return Dispatcher(driver, EnvelopeCodec(MsgpackSerializer()), client.config, EventStream([]))


async def count(driver: Driver) -> int:
    return len(await driver.browse("own", State.READY, limit=99))


def raising(error: BaseException) -> Callable[[Sequence[Message]], None]:
    def act(_: Sequence[Message]) -> None:
        raise error

    return act


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (AttributeError("a bug"), AttributeError),
        (BrokerUnavailable("away"), BrokerUnavailable),
        (asyncio.CancelledError("its own"), BrokerUnavailable),
    ],
)
async def test_whatever_a_driver_raises_reaches_all_callers(
    error: BaseException, expected: type[Exception]
) -> None:
    driver = Driver(raising(error))
    one = dispatcher(driver)
    async with asyncio.timeout(20):
        calls = [one.dispatch(work(n)) for n in range(3)]
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [expected] * 3
    driver.act = lambda _: None
    assert (await one.dispatch(work(4))).id  # it goes on
    assert await count(driver) == 1


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_an_exit_inside_a_driver_ends_the_program_and_answers(error: BaseException) -> None:
    results: list[Any] = []
    driver = Driver(raising(error))

    async def main() -> None:
        one = dispatcher(driver)
        calls = [asyncio.create_task(one.dispatch(work(n))) for n in range(3)]
        try:
            await asyncio.sleep(60)
        finally:
            results.extend(await asyncio.gather(*calls, return_exceptions=True))
            await one.flush()

    with pytest.raises(type(error)):
        asyncio.run(main())
    assert len(results) == 3
    assert {type(result) for result in results} <= {BrokerUnavailable, asyncio.CancelledError}
    assert driver.calls == 1  # what is answered is not stored afterwards


async def test_an_error_among_single_calls_answers_all_of_them() -> None:
    """After a refusal of the batch each caller's messages are sent alone."""

    def act(messages: Sequence[Message]) -> None:
        if len(messages) > 1 or b"\xa6number\x01" in messages[0].body:
            raise BrokerRejected("one")
        if b"\xa6number\x02" in messages[0].body:
            raise LookupError("two")

    driver = Driver(act)
    one = dispatcher(driver)
    async with asyncio.timeout(20):
        calls = [one.dispatch(work(number=n)) for n in range(4)]
        results = await asyncio.gather(*calls, return_exceptions=True)
    names = [type(result).__name__ for result in results]
    assert names == ["TaskHandle", "BrokerRejected", "LookupError", "TaskHandle"]
    assert await count(driver) == 2


async def test_an_interrupted_split_stores_nothing_twice() -> None:
    gate = asyncio.Event()
    stored: list[str] = []

    def act(messages: Sequence[Message]) -> Any:
        if len(messages) > 1:
            raise BrokerRejected("too many")
        stored.append(messages[0].id)
        return gate.wait() if len(stored) == 2 else None

    driver = Driver(act)
    one = dispatcher(driver)
    calls = [asyncio.create_task(one.dispatch(work(n))) for n in range(3)]
    await wait_until(lambda: len(stored) == 2)
    runner = one._orders._runner
    assert runner is not None
    runner.cancel()  # as asyncio.run does with every task
    gate.set()
    async with asyncio.timeout(20):
        handles = await asyncio.gather(*calls)
    assert stored.count(handles[0].id) == 1
    assert await count(driver) == 3


async def test_what_a_driver_does_not_mention_is_not_taken_for_stored() -> None:
    def act(messages: Sequence[Message]) -> None:
        raise EnqueueFailed("a part", accepted=[messages[0].id])

    one = dispatcher(Driver(act))
    async with asyncio.timeout(20):
        calls = [one.dispatch(work(n)) for n in range(2)]
        first, second = await asyncio.gather(*calls, return_exceptions=True)
    assert type(first).__name__ == "TaskHandle"
    assert isinstance(second, EnqueueFailed)
    assert len(second.rejected) == 1


@pytest.mark.parametrize("how", ["flush", "close"])
async def test_the_end_does_not_wait_for_a_silent_broker(how: str) -> None:
    driver = Driver(lambda _: asyncio.Event().wait())
    one = dispatcher(driver)
    calls = [asyncio.create_task(one.dispatch(work(n))) for n in range(3)]
    await wait_until(lambda: driver.calls == 1)
    calls.append(asyncio.create_task(one.dispatch(work(4))))  # waits for its turn
    await asyncio.sleep(0)
    before = time.monotonic()
    await getattr(one, how)(timeout=0.2)
    assert 0.1 < time.monotonic() - before < 5
    async with asyncio.timeout(20):
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [BrokerUnavailable] * 4
    assert await count(driver) == 0
    assert driver.disconnects == (how == "close")


async def test_a_disconnect_that_hangs_does_not_keep_emitters_open() -> None:
    class Hangs(Driver):
        async def disconnect(self) -> None:
            await asyncio.Event().wait()

    closed: list[str] = []

    class Emitter:
        async def emit(self, event: object) -> None: ...

        async def close(self) -> None:
            closed.append("closed")

    events = EventStream([Emitter()])
    events.start()
    codec = EnvelopeCodec(MsgpackSerializer())
    one = Dispatcher(Hangs(lambda _: None), codec, client.config, events)
    async with asyncio.timeout(20):
        await one.close(timeout=0.1)
    assert closed == ["closed"]
