"""From a call to a stored message."""

import asyncio
import gc
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from asynctasq import (
    AsyncTask,
    BrokerRejected,
    BrokerUnavailable,
    Config,
    ConfigError,
    EnqueueFailed,
    SyncTask,
    TaskError,
    close,
    dispatch_many,
    init,
    run,
    task,
)
from asynctasq.core.producer.client import client
from asynctasq.core.producer.dispatcher import Dispatcher
from asynctasq.core.producer.message_id import new_message_id
from asynctasq.drivers import BaseDriver, Limits, Message, State
from asynctasq.drivers.memory import MemoryDriver, MemorySettings
from asynctasq.events import EventStream
from asynctasq.serialization import EnvelopeCodec, MsgpackSerializer

NewDriver = Callable[[], BaseDriver]


@task(name="dispatch-test", queue="own")
async def work(number: int) -> None: ...


async def stored(new_driver: NewDriver, queue: str = "own") -> list[Any]:
    driver: Any = new_driver()
    await driver.connect()
    found = list(await driver.browse(queue, State.READY, limit=1000))
    await driver.disconnect()
    return found


class Counting(MemoryDriver):
    """Counts round trips, and refuses numbers it was told to refuse."""

    limits = Limits(max_body=1000)

    def __init__(self) -> None:
        super().__init__(MemorySettings(memory_url=f"memory://{new_message_id()}"))
        self.batches: list[int] = []
        self.partial = False

    async def enqueue(self, messages: Sequence[Message]) -> None:
        self.batches.append(len(messages))
        await asyncio.sleep(0.01)
        bad = [message.id for message in messages if b"\xa6number\x0d" in message.body]
        if bad and self.partial:
            good = [message.id for message in messages if message.id not in bad]
            raise EnqueueFailed("a part", accepted=good, rejected=bad)
        if bad:
            raise BrokerRejected("thirteen")
        await super().enqueue(messages)


def dispatcher(driver: BaseDriver) -> Dispatcher:
    return Dispatcher(driver, EnvelopeCodec(MsgpackSerializer()), client.config, EventStream([]))


pytestmark = pytest.mark.anyio


async def test_a_handle_is_its_id(new_driver: NewDriver) -> None:
    handle = await work(1).dispatch()
    assert (handle.name, handle.queue) == ("dispatch-test", "own")
    assert [message.id for message in await stored(new_driver)] == [str(handle)]


async def test_concurrent_calls_share_round_trips(new_driver: NewDriver) -> None:
    driver = Counting()
    one = dispatcher(driver)
    await asyncio.gather(*(one.dispatch(work(n + 100)) for n in range(50)))
    assert sum(driver.batches) == 50
    assert len(driver.batches) <= 2


async def test_many_calls_are_one_round_trip(new_driver: NewDriver) -> None:
    driver = Counting()
    handles = await dispatcher(driver).dispatch_many([work(n + 100) for n in range(50)])
    assert driver.batches == [50]
    assert [m.id for m in await driver.browse("own", State.READY, limit=99)] == [
        handle.id for handle in handles
    ]
    assert await dispatcher(driver).dispatch_many([]) == []
    assert driver.batches == [50]


async def test_a_refused_call_fails_alone(new_driver: NewDriver) -> None:
    driver = Counting()
    one = dispatcher(driver)
    calls = [one.dispatch(work(number=n)) for n in (100, 13, 101)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result).__name__ for result in results] == [
        "TaskHandle",
        "BrokerRejected",
        "TaskHandle",
    ]
    assert len(await driver.browse("own", State.READY, limit=99)) == 2


async def test_a_partial_failure_is_told_to_whom_it_concerns(new_driver: NewDriver) -> None:
    driver = Counting()
    driver.partial = True
    one = dispatcher(driver)
    calls = [one.dispatch_many([work(number=n) for n in numbers]) for numbers in ((1, 2), (3, 13))]
    good, bad = await asyncio.gather(*calls, return_exceptions=True)
    assert len(good) == 2  # type: ignore[arg-type]
    assert isinstance(bad, EnqueueFailed)
    assert (len(bad.accepted), len(bad.rejected)) == (1, 1)


async def test_a_body_over_the_limit_is_refused_before_it_is_sent(new_driver: NewDriver) -> None:
    @task(name="dispatch-test-large")
    async def large(text: str) -> None: ...

    driver = Counting()
    with pytest.raises(BrokerRejected, match=r"dispatch-test-large: a message of \d+ bytes"):
        await dispatcher(driver).dispatch(large("x" * 2000))
    assert driver.batches == []


async def test_synchronous_code_in_a_thread_dispatches(new_driver: NewDriver) -> None:
    handle = await asyncio.to_thread(work(1).dispatch_sync)
    assert [message.id for message in await stored(new_driver)] == [handle.id]


async def test_dispatch_sync_refuses_to_block_its_own_loop(new_driver: NewDriver) -> None:
    driver = new_driver()
    with pytest.raises(TaskError, match="await dispatch"):
        dispatcher(driver).dispatch_sync(work(1))


def test_a_program_leaves_no_thread_behind(new_driver: NewDriver) -> None:
    async def main() -> None:
        await dispatch_many([work(1)])

    before = set(threading.enumerate())
    for runner in (run, asyncio.run):
        runner(main())  # type: ignore[operator]
    deadline = time.monotonic() + 10
    while set(threading.enumerate()) - before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(asyncio.run(stored(new_driver))) == 2


def test_synchronous_code_dispatches_after_a_fork(new_driver: NewDriver) -> None:
    if not hasattr(os, "fork") or isinstance(new_driver(), MemoryDriver):
        return  # a child's memory is its own
    work(1).dispatch_sync()
    child = os.fork()
    if child == 0:
        try:
            work(2).dispatch_sync()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert len(asyncio.run(stored(new_driver))) == 2


def test_ids_are_versioned_and_sort_by_time() -> None:
    ids = [new_message_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert all(len(one) == 36 and one[14] == "7" and one[19] in "89ab" for one in ids)
    time.sleep(0.002)
    assert new_message_id() > max(ids)


async def test_an_error_of_the_driver_reaches_all_callers(new_driver: NewDriver) -> None:
    class Away(Counting):
        async def enqueue(self, messages: Sequence[Message]) -> None:
            await asyncio.sleep(0)
            raise BrokerUnavailable("away")

    one = dispatcher(Away())
    calls = [one.dispatch(work(n)) for n in range(3)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [BrokerUnavailable] * 3


async def test_a_caller_that_is_cancelled_takes_nobody_along(new_driver: NewDriver) -> None:
    driver = Counting()
    one = dispatcher(driver)
    calls = [asyncio.create_task(one.dispatch(work(n + 100))) for n in range(3)]
    await asyncio.sleep(0.005)
    calls[0].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result).__name__ for result in results] == [
        "CancelledError",
        "TaskHandle",
        "TaskHandle",
    ]
    assert len(await driver.browse("own", State.READY, limit=99)) == 3


async def test_dispatch_sync_on_a_running_loop_stores_the_call(new_driver: NewDriver) -> None:
    handle = work(1).dispatch_sync()
    assert [message.id for message in await stored(new_driver)] == [handle.id]


def test_many_threads_dispatch_at_once(new_driver: NewDriver) -> None:
    threads = [threading.Thread(target=work(n).dispatch_sync) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(asyncio.run(stored(new_driver))) == 20
    assert len([t for t in threading.enumerate() if t.name == "asynctasq-dispatch"]) == 1


async def test_another_init_moves_later_calls(new_driver: NewDriver, tmp_path: Path) -> None:
    await work(1).dispatch()
    await asyncio.to_thread(work(2).dispatch_sync)
    init(driver="sqlite", sqlite_path=str(tmp_path / "other.db"))
    try:
        await work(3).dispatch()
        await asyncio.to_thread(work(4).dispatch_sync)
        assert len(await stored(new_driver)) == 2
        assert len(await stored(client.make_driver)) == 2
    finally:
        await close()
        client.end_thread()
    # neither producer is left, which the fixture `ran` sees to


def test_a_loop_that_ended_is_forgotten(new_driver: NewDriver) -> None:
    async def main() -> weakref.ref[asyncio.AbstractEventLoop]:
        await work(1).dispatch()
        return weakref.ref(asyncio.get_running_loop())

    loops = [asyncio.run(main()) for _ in range(3)]
    gc.collect()
    assert [loop() for loop in loops] == [None, None, None]


def test_what_a_program_dispatches_while_it_ends_is_stored(new_driver: NewDriver) -> None:
    """asyncio.run cancels all tasks at its end, also the one that enqueues."""

    async def clean_up() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.gather(*(work(n).dispatch() for n in range(3)))

    async def main() -> None:
        tasks = [asyncio.create_task(clean_up()) for _ in range(3)]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(work(9).dispatch()))  # type: ignore[arg-type]
        await asyncio.sleep(0)

    asyncio.run(main())
    assert len(asyncio.run(stored(new_driver))) >= 9


@pytest.mark.parametrize("runner", [run, asyncio.run])
def test_a_program_gets_its_result_and_its_error(runner: Callable[..., Any]) -> None:
    async def give() -> int:
        return 42

    async def fail() -> None:
        raise LookupError("mine")

    assert runner(give()) == 42
    with pytest.raises(LookupError, match="mine"):
        runner(fail())


async def test_a_call_without_options_goes_to_the_default_queue(
    new_driver: NewDriver, config: Config
) -> None:
    @task(name="dispatch-test-plain")
    async def plain() -> None: ...

    assert (await plain().dispatch()).queue == config.default_queue == "default"
    assert (await plain().on_queue("else").dispatch()).queue == "else"


@dataclass
class ClassWork(AsyncTask[None]):
    number: int
    queue = "own"


@dataclass
class SyncClassWork(SyncTask[None]):
    number: int
    queue = "own"


async def test_many_calls_may_be_instances_of_class_tasks(new_driver: NewDriver) -> None:
    calls = [ClassWork(1), work(2), SyncClassWork(3), ClassWork(4).delay(0).on_queue("own")]
    handles = await dispatch_many(calls)
    assert [handle.name.rpartition(":")[2] for handle in handles] == [
        "ClassWork",
        "dispatch-test",
        "SyncClassWork",
        "ClassWork",
    ]
    assert [message.id for message in await stored(new_driver)] == [one.id for one in handles]


async def test_many_calls_may_come_from_a_generator(new_driver: NewDriver) -> None:
    handles = await dispatch_many(work(n) for n in range(5))
    assert [message.id for message in await stored(new_driver)] == [one.id for one in handles]


@pytest.mark.parametrize("bad", [work, work.function, ClassWork, "work", None, {}])
async def test_what_is_no_call_is_refused_and_nothing_stored(
    new_driver: NewDriver, bad: Any
) -> None:
    with pytest.raises(ConfigError, match="only calls can be dispatched, such as"):
        await dispatch_many([work(1), bad])
    assert await stored(new_driver) == []
