"""Tests of RabbitMQ alone: delays that wait in the broker, and a node that dies under load."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from asynctasq.drivers import BaseDriver, Delivery, Message, Outcome, Settlement
from asynctasq.errors import BrokerUnavailable
from asynctasq.testing.waiting import until
from asynctasq_rabbitmq.names import Names
from integration.application import Application
from integration.rabbitmq_server import RabbitServer, count_delayed, without_route

pytestmark = pytest.mark.slow


@pytest.fixture
def application(rabbitmq_server: RabbitServer, tmp_path: Path) -> Iterator[Application]:
    """On a node of its own, which is up."""
    rabbitmq_server.start()
    made = Application(tmp_path, rabbitmq_server.settings)
    yield made
    made.close()


def test_none_of_5000_is_lost_when_a_worker_and_the_broker_are_killed(
    application: Application, rabbitmq_server: RabbitServer
) -> None:
    application.dispatch(*(("note", {"word": str(number)}) for number in range(5000)))
    options = ("--concurrency", "50")
    victim = application.start_worker(*options)
    application.start_worker(*options)
    until(lambda: len(application.log()) > 500, "some have run")
    victim.kill()
    until(lambda: len(application.log()) > 1000, "more have run")
    rabbitmq_server.kill()
    rabbitmq_server.start()
    until(lambda: len(application.log()) == 5000, "all have run")
    application.end()
    twice = sum(application.log().values()) - 5000
    # what each of the two had taken when its connection was cut, and as many again: a broker that
    # is killed may have stored a message anew, and forget that the old one was acknowledged
    assert twice <= 4 * 50


def test_delays_survive_a_restart_of_broker_and_producer(
    application: Application, rabbitmq_server: RabbitServer
) -> None:
    hour, soon = Message("hour", "default", b"", 3600.0), Message("soon", "default", b"", 6.0)
    started = time.monotonic()

    async def enqueue(driver: BaseDriver) -> None:
        await driver.enqueue([hour, soon])

    application.ask(enqueue)
    rabbitmq_server.keeps(Names("asynctasq").queue("default"))
    rabbitmq_server.kill()
    rabbitmq_server.start()

    async def take(driver: BaseDriver) -> list[str]:
        taken: Sequence[Delivery] = ()
        while not taken:
            with suppress(BrokerUnavailable):  # a node that has just booted may be slow to answer
                taken = await driver.dequeue(["default"], limit=9, lease=60, wait=30)
        return [one.id for one in taken]

    assert application.ask(take) == ["soon"]
    assert time.monotonic() - started >= 6.0
    assert asyncio.run(count_delayed(rabbitmq_server.url, "asynctasq")) == 1  # the hour


def test_a_level_that_found_no_route_goes_on(
    application: Application, rabbitmq_server: RabbitServer
) -> None:
    # more than the 32 that a level forwards at a time, so that what comes later waits behind
    stuck = [Message(str(number), "default", b"", 0.5) for number in range(40)]
    later = Message("later", "default", b"", 0.5)

    async def lose_the_route(driver: BaseDriver) -> None:
        await driver.enqueue([Message("first", "default", b"")])  # declares the queue
        await driver.enqueue(stuck)
        url = rabbitmq_server.url
        await without_route(
            url, "asynctasq", "default", lambda: "Cannot forward" in rabbitmq_server.log()
        )
        await driver.enqueue([later])

    async def take(driver: BaseDriver) -> list[str]:
        taken: list[str] = []
        started = time.monotonic()
        while len(taken) < 42 and time.monotonic() < started + 60:
            got = await driver.dequeue(["default"], limit=50, lease=60, wait=5)
            assert not await driver.settle([Settlement(one, Outcome.DONE) for one in got])
            taken += [one.id for one in got]
        return taken

    application.ask(lose_the_route)
    assert sorted(application.ask(take)) == sorted(["first", "later", *(one.id for one in stuck)])


def test_a_worker_that_never_declared_a_delay_runs_delayed_tasks(
    application: Application,
) -> None:
    (application.directory / "produce.py").write_text(
        "from asynctasq import run\n"
        "from tasks import note\n"
        "async def main(): await note(word='late').delay(0.5).dispatch()\n"
        "run(main())\n"
    )
    assert application.start("produce.py").wait(30) == 0, application.output()
    application.start_worker()
    until(lambda: application.log()["late"] == 1, "the task ran")
