"""A worker while its broker is away, and when it loses a lease."""

import asyncio
import threading
import uuid
from collections.abc import Sequence
from typing import Any

import pytest
import tasks_for_tests as tasks
from worker_for_tests import NewDriver, Wrapped, look, wait_until

from asynctasq import BrokerRejected, Worker, dispatch_many
from asynctasq.core.worker import engine
from asynctasq.drivers import BaseDriver, Delivery, Outcome, Settlement, State
from asynctasq.errors import WorkerRefused

pytestmark = pytest.mark.anyio


async def test_leases_are_kept_while_the_loop_is_blocked(
    new_driver: NewDriver, ran: list[object]
) -> None:
    await dispatch_many([tasks.block_loop(3.0)])
    other = threading.Thread(target=lambda: asyncio.run(_watch(new_driver)))
    other.start()
    await Worker(new_driver(), lease=1, max_tasks=1, worker_id="first").start()
    await asyncio.to_thread(other.join)
    assert ran == ["first"]
    assert await look(new_driver, State.READY) == []


async def _watch(new_driver: NewDriver) -> None:
    """A second worker, which comes when the first has the task and leaves after three leases."""
    await wait_until(lambda: bool(tasks.ran))
    worker = Worker(new_driver(), lease=1, worker_id="second")
    running = asyncio.create_task(worker.start())
    await asyncio.wait([running], timeout=3.5)
    await worker.stop()
    await running


async def test_outcomes_wait_for_a_broker_that_is_away(
    new_driver: NewDriver, ran: list[object]
) -> None:
    await dispatch_many([tasks.note(n) for n in range(5)])
    driver: Any = Wrapped(new_driver())
    driver.failures |= {"dequeue": 2, "settle": 2}
    await Worker(driver, max_tasks=5).start()
    assert sorted(ran) == [0, 1, 2, 3, 4]  # type: ignore[type-var]
    assert driver.failures == {"dequeue": 0, "settle": 0, "extend": 0}
    assert await look(new_driver, State.RUNNING) == []


async def test_a_lost_lease_cancels_the_task_and_discards_its_outcome(
    new_driver: NewDriver, ran: list[object]
) -> None:
    name = uuid.uuid4().hex
    gate = tasks.gates[name] = tasks.Gate()
    await dispatch_many([tasks.pass_gate(name)])
    driver: Any = Wrapped(new_driver())
    driver.loses_leases = True
    worker = Worker(driver, lease=1)
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: gate.most == 1)
    await wait_until(lambda: gate.inside == 0)
    await worker.stop()
    await running
    assert (ran, driver.settled) == ([], [])


async def test_a_task_that_ignores_the_loss_of_its_lease_has_no_outcome(
    new_driver: NewDriver, ran: list[object]
) -> None:
    name = uuid.uuid4().hex
    gate = tasks.gates[name] = tasks.Gate()
    await dispatch_many([tasks.swallow_cancellation(name)])
    driver: Any = Wrapped(new_driver())
    driver.loses_leases = True
    worker = Worker(driver, lease=1)
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: "cancelled" in ran)
    gate.opened.set()
    await wait_until(lambda: "ended" in ran)
    await worker.stop()
    await running
    assert driver.settled == []


async def test_leases_are_extended_once_the_broker_is_back(
    new_driver: NewDriver, ran: list[object]
) -> None:
    name = uuid.uuid4().hex
    gate = tasks.gates[name] = tasks.Gate()
    await dispatch_many([tasks.pass_gate(name)])
    driver: Any = Wrapped(new_driver())
    driver.failures["extend"] = 3
    worker = Worker(driver, lease=1)
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: bool(driver.siblings and driver.siblings[0].extended >= 2))
    assert gate.inside == 1
    gate.opened.set()
    await worker.stop()
    await running
    assert ran == [name]
    assert len(driver.settled) == 1


async def test_in_burst_mode_too_outcomes_wait_however_long(
    new_driver: NewDriver, ran: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "FLUSH_PATIENCE", 0.05)
    driver: Any = Wrapped(new_driver())
    driver.failures["settle"] = 3
    await dispatch_many([tasks.note("x")])
    await Worker(driver, burst=True).start()
    assert ran == ["x"]
    assert [s.outcome for s in driver.settled] == [Outcome.DONE]


async def test_at_its_end_a_worker_waits_for_its_broker_only_so_long(
    new_driver: NewDriver, ran: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "FLUSH_PATIENCE", 0.05)
    driver: Any = Wrapped(new_driver())
    driver.failures["settle"] = 10_000
    await dispatch_many([tasks.note("x")])
    before = asyncio.all_tasks()
    await Worker(driver, max_tasks=1).start()
    assert (ran, driver.settled) == (["x"], [])
    assert asyncio.all_tasks() == before
    assert len(await look(new_driver, State.RUNNING)) == 1  # until its lease ends


class Refusing(Wrapped):
    """Refuses whatever batch has the outcome of one message."""

    refused = ""

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        if any(self.refused.encode() in s.delivery.body for s in settlements):
            raise BrokerRejected("not this one")
        return await super().settle(settlements)


async def test_an_outcome_that_is_refused_holds_up_no_other(
    new_driver: NewDriver, ran: list[object]
) -> None:
    driver: Any = Refusing(new_driver())
    driver.refused = "poison"
    await dispatch_many([tasks.note(word) for word in ("a", "poison", "b")])
    await Worker(driver, max_tasks=3, refusal_limit=0.1).start()
    assert len(driver.settled) == 2
    (left,) = await look(new_driver, State.RUNNING)
    assert b"poison" in left.body


async def test_outcomes_are_kept_while_the_broker_refuses_its_client(
    new_driver: NewDriver, ran: list[object]
) -> None:
    driver: Any = Wrapped(new_driver())
    driver.error = BrokerRejected("wrong password")
    driver.failures |= {"settle": 7, "extend": 2}
    await dispatch_many([tasks.note(n) for n in range(30)])
    await Worker(driver, max_tasks=30).start()
    assert sorted(ran) == list(range(30))  # type: ignore[type-var]
    assert {s.outcome for s in driver.settled} == {Outcome.DONE}
    assert await look(new_driver, State.RUNNING) == []


async def test_a_fetch_that_is_refused_at_the_start_ends_the_worker_at_once(
    new_driver: NewDriver,
) -> None:
    driver: Any = Wrapped(new_driver())
    driver.error = BrokerRejected("no such table")
    driver.failures["dequeue"] = 1
    with pytest.raises(BrokerRejected, match="no such table") as raised:
        await Worker(driver).start()
    assert not isinstance(raised.value, WorkerRefused)


class RefusesLater(Wrapped):
    """Refuses a given number of fetches, after its first fetch with a message."""

    def __init__(self, driver: BaseDriver, times: int) -> None:
        super().__init__(driver)
        self.error = BrokerRejected("no longer allowed")
        self.times = times

    async def dequeue(self, queues: Sequence[str], **options: Any) -> Sequence[Delivery]:
        taken = await super().dequeue(queues, **options)
        if taken:
            self.failures["dequeue"] = self.times
        return taken


async def test_a_worker_that_is_refused_for_too_long_ends_after_its_tasks(
    new_driver: NewDriver, ran: list[object]
) -> None:
    driver: Any = RefusesLater(new_driver(), 10_000)
    await dispatch_many([tasks.note_in_thread("x")])
    with pytest.raises(WorkerRefused, match="no longer allowed"):
        await Worker(driver, refusal_limit=0.2).start()
    assert ran == ["x"]
    assert len(driver.settled) == 1


async def test_a_worker_that_is_refused_for_a_while_goes_on(
    new_driver: NewDriver, ran: list[object], caplog: pytest.LogCaptureFixture
) -> None:
    driver: Any = RefusesLater(new_driver(), 3)
    await dispatch_many([tasks.note("a"), tasks.note("b")])
    await Worker(driver, concurrency=1, max_tasks=2).start()
    assert sorted(ran) == ["a", "b"]  # type: ignore[type-var]
    assert caplog.text.count("refuses this worker") == 1
    assert await look(new_driver, State.RUNNING) == []


class FailsLater(Wrapped):
    """Fails a given number of times in each method, after its first fetch with a message."""

    def __init__(self, driver: BaseDriver, **failures: int) -> None:
        super().__init__(driver)
        self.to_come = failures

    async def dequeue(self, queues: Sequence[str], **options: Any) -> Sequence[Delivery]:
        taken = await super().dequeue(queues, **options)
        if taken:
            self.failures |= self.to_come
            self.to_come = {}
        return taken


@pytest.mark.parametrize(
    ("failures", "line"),
    [
        ({"dequeue": 5, "settle": 4}, "the broker is unavailable"),
        ({"dequeue": 5, "extend": 3}, "the broker is unavailable"),
        ({"settle": 5}, "outcomes of queue default wait for the broker"),
        ({"extend": 3}, "leases cannot be extended"),
    ],
)
@pytest.mark.flakiest
async def test_a_broker_that_is_away_is_one_line_in_the_log(
    new_driver: NewDriver,
    caplog: pytest.LogCaptureFixture,
    failures: dict[str, int],
    line: str,
) -> None:
    driver: Any = FailsLater(new_driver(), **failures)
    name = uuid.uuid4().hex
    gate = tasks.gates[name] = tasks.Gate()
    await dispatch_many([tasks.pass_gate(name)])
    worker = Worker(driver, lease=1)
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: bool(gate.inside))
    if "settle" in failures:
        gate.opened.set()
    await wait_until(lambda: not any(driver.failures.values()))
    gate.opened.set()
    await wait_until(lambda: bool(driver.settled))
    await worker.stop()
    await running
    warnings = [one.getMessage() for one in caplog.records if one.levelname != "INFO"]
    assert len(warnings) == 1, warnings
    assert warnings[0].startswith(line)


class RefusesWhileIdle(Wrapped):
    """Refuses the first fetch that waits for longer than a moment."""

    is_refusing = True

    async def dequeue(self, queues: Sequence[str], **options: Any) -> Sequence[Delivery]:
        if options["wait"] > 1 and self.is_refusing:
            self.is_refusing = False
            raise BrokerRejected("the password was changed")
        return await super().dequeue(queues, **options)


async def test_a_worker_that_is_refused_before_its_first_message_goes_on(
    new_driver: NewDriver, ran: list[object]
) -> None:
    driver: Any = RefusesWhileIdle(new_driver())
    running = asyncio.create_task(Worker(driver, max_tasks=1).start())
    await wait_until(lambda: not driver.is_refusing)
    await tasks.note("a").dispatch()
    await running
    assert ran == ["a"]


async def test_an_idle_worker_notices_at_once_that_its_broker_is_back(
    new_driver: NewDriver,
) -> None:
    driver = Wrapped(new_driver())
    driver.failures["dequeue"] = 3
    worker = Worker(driver)  # pyright: ignore[reportArgumentType]
    running = asyncio.create_task(worker.start())

    def silence() -> float:
        status = worker.status()
        return status.broker_silence if status else 0.0

    async with asyncio.timeout(10):  # less than a worker waits for a message
        await wait_until(lambda: silence() > 0)
        await wait_until(lambda: silence() == 0)
    await worker.stop()
    await running
    assert worker.status() is None
