"""Brokers that are killed and come back, under workers and under producers."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from asynctasq.drivers import BaseDriver, Message
from asynctasq.errors import BrokerUnavailable
from asynctasq.testing.waiting import until
from integration.application import Application
from integration.faults.conftest import MakeLoad
from integration.faults.load import Report
from integration.faults.report import Row
from integration.faults.servers import Server

pytestmark = pytest.mark.parametrize(
    "application", ["redis", "postgres", "mysql", "rabbitmq"], indirect=True
)

CONCURRENCY = 10
#: Outcomes that may wait to be stored when a lease ends, as documented.
UNSTORED = 50
LEASE = 2.0
#: Seconds after which a new queue is as durable as its messages.
SETTLED = 2.0
#: Seconds in which a server that was killed works again: RabbitMQ elects leaders of its queues.
COMES_BACK = 100.0
#: Seconds within which a producer is told.
PROMPT = 10.0


def test_the_broker_is_killed_under_load(
    application: Application, server: Server, load: MakeLoad, report: Report, scale: int
) -> None:
    work = load(240, seconds=0.1, delayed=60, delay=5.0)
    time.sleep(SETTLED)
    options = ("--concurrency", str(CONCURRENCY), "--lease", str(LEASE))
    workers = [work.start_worker(*options) for _ in range(2)]
    kills = 2 * scale
    for number in range(kills):
        work.await_ended((number + 1) / (kills + 2))
        server.kill()
        if number == 0:
            time.sleep(1.5 * LEASE)  # away for longer than a lease: what it held may be taken over
        else:
            workers.pop(0).kill()  # both at once
        server.start()
        work.recovers(COMES_BACK)
        while len(workers) < 2:
            workers.append(work.start_worker(*options))
    row = work.finish("kill -9 of the broker under load")
    report(row)
    assert row.twice <= kills * len(workers) * (CONCURRENCY + UNSTORED)


def test_what_runs_while_the_broker_is_away_runs_once(
    application: Application, server: Server
) -> None:
    application.dispatch(*(("wait_for_file", {"number": n}) for n in range(5)))
    application.start_worker("--lease", str(LEASE))
    until(lambda: len(application.log()) == 5, "the tasks have started")
    time.sleep(SETTLED)
    server.kill()
    (application.directory / "go").touch()  # they end while nobody can be told
    until(lambda: application.log()["end 4"] == 1, "the tasks have ended")
    until(lambda: "the broker is unavailable" in application.output(), "the worker noticed")
    time.sleep(1.5 * LEASE)  # longer than the lease: nobody else is there to take them over
    server.start()
    until(lambda: "is back" in application.output(), "the worker is back")
    application.dispatch(("note", {"word": "after"}))
    until(lambda: application.log()["after"] == 1, "it works as before")
    application.end()
    assert [application.log()[f"start {n}"] for n in range(5)] == [1] * 5


def test_producers_get_an_error_at_once(
    application: Application, server: Server, report: Report
) -> None:
    producer = Producer()
    application.ask(lambda driver: producer.outlive(driver, server))
    stored = Counter(delivery.id for delivery in application.drain())
    accepted, refused = producer.accepted, producer.refused
    row = Row(
        "kill -9 of the broker under producers",
        application.settings["driver"],
        tasks=len(accepted) + len(refused),
        lost=sum(not stored[one] for one in (*accepted, *refused)),
        twice=sum(stored.values()) - len(accepted) - len(refused),
        dead=0,
        recovery=producer.recovery,
    )
    report(row)
    assert row.lost == 0
    assert {stored[one] for one in accepted} == {1}
    unique = application.ask(_has_unique_ids)
    # what was refused was given to the broker again: it may have had that of the last moment
    assert max(stored[one] for one in refused) <= (1 if unique else 2)
    assert row.twice <= (0 if unique else 1)
    assert producer.slowest < PROMPT


@dataclass(slots=True)
class Producer:
    """Stores one message after the other, also while the broker is down.

    Attributes:
        accepted: ids that the broker had when `enqueue` returned.
        refused: ids of which it raised `BrokerUnavailable`.
        slowest: seconds of the longest call.
        recovery: seconds from the broker's return to the next that was accepted.
    """

    accepted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    slowest: float = 0.0
    recovery: float = 0.0

    async def outlive(self, driver: BaseDriver, server: Server) -> None:
        """Go on while the server is killed and started again; then try the refused once more."""
        stopped, started = asyncio.Event(), time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run(driver, stopped))
            # seen on RabbitMQ 3.10: a queue declared in its last moment confirms nothing afterwards
            await _until(lambda: len(self.accepted) >= 100 and time.monotonic() > started + SETTLED)
            await asyncio.to_thread(server.kill)
            await _until(lambda: len(self.refused) >= 20)
            await asyncio.to_thread(server.start)
            before, back = len(self.accepted), time.monotonic()
            await _until(lambda: len(self.accepted) > before)
            self.recovery = time.monotonic() - back
            await _until(lambda: len(self.accepted) >= before + 100)
            stopped.set()
        await driver.enqueue([Message(one, "default", b"") for one in self.refused])

    async def _run(self, driver: BaseDriver, stopped: asyncio.Event) -> None:
        for number in itertools.count():
            if stopped.is_set():
                return
            await self._store(driver, f"message-{number}")

    async def _store(self, driver: BaseDriver, name: str) -> None:
        started = time.monotonic()
        try:
            await driver.enqueue([Message(name, "default", b"")])
        except BrokerUnavailable:
            self.refused.append(name)
            await asyncio.sleep(0.05)
        else:
            self.accepted.append(name)
        self.slowest = max(self.slowest, time.monotonic() - started)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - in another process, where there is no event
            await asyncio.sleep(0.02)


async def _has_unique_ids(driver: BaseDriver) -> bool:
    return driver.limits.unique_ids
