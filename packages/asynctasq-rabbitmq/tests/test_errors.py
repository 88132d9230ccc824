"""Error messages of refused and impossible calls."""

import pytest
from pamqp import commands

from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq.errors import BrokerRejected, BrokerUnavailable
from asynctasq.testing.contract import NewDriver, UnreachableContract
from asynctasq_rabbitmq import RabbitMQDriver
from asynctasq_rabbitmq.link import Link
from asynctasq_rabbitmq.names import Names

pytestmark = pytest.mark.anyio


class TestUnreachable(UnreachableContract):
    """Nobody listens on this port."""

    @pytest.fixture
    def new_driver(self, driver_on) -> NewDriver:
        return lambda: driver_on("amqp://guest:guest@127.0.0.1:1/")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"password": "wrong"}, "refuses the credentials; check rabbitmq_url"),
        ({"path": "/nowhere"}, "has no such virtual host; check the path of rabbitmq_url"),
    ],
)
async def test_a_wrong_url_is_named(settings, driver_on, change, expected: str) -> None:
    url = settings.url()
    if "password" in change:
        url = url.with_password(change["password"])
    else:
        url = url.with_path(change["path"])
    driver = driver_on(str(url))
    with pytest.raises(BrokerRejected, match=expected) as caught:
        await driver.connect()
    assert "wrong" not in str(caught.value)
    await driver.disconnect()


async def test_a_queue_with_other_arguments_is_explained(settings) -> None:
    name = Names(settings.rabbitmq_exchange_name).queue("changed")
    link = Link(settings.url(), settings.location(), "asynctasq tests")
    await link.open()
    channel = await link.channel()
    await channel.call(
        commands.Queue.Declare(queue=name, durable=True, arguments={"x-queue-type": "classic"}),
        commands.Queue.DeclareOk,
    )
    driver = RabbitMQDriver(settings)
    await driver.connect()
    for call in (
        lambda: driver.enqueue([Message("id", "changed", b"")]),
        lambda: driver.dequeue(["changed"], limit=1, lease=30, wait=0),
    ):
        with pytest.raises(BrokerRejected) as caught:
            await call()
        text = str(caught.value)
        assert "'" + name + "'" in text
        assert "with another x-" in text
        assert "rabbitmq_exchange_name" in text
        assert len(text.splitlines()) == 1
    await driver.enqueue([Message("id", "other", b"")])
    assert len(await driver.dequeue(["other"], limit=1, lease=30, wait=0)) == 1
    await driver.disconnect()
    await link.close()


async def test_what_is_too_large_or_too_late_is_refused(settings) -> None:
    driver = RabbitMQDriver(settings)
    await driver.connect()
    too_large = b"x" * (driver.limits.max_body + 1)
    for message in (
        Message("id", "queue", too_large),
        Message("id", "queue", b"", driver.limits.max_delay * 1.01),
        Message("id", "queue", b"", -1),
        Message("id", "q" * 200, b""),
    ):
        with pytest.raises(BrokerRejected, match="possible"):
            await driver.enqueue([message])
    await driver.disconnect()


async def test_a_call_without_a_connection_is_refused(settings) -> None:
    driver = RabbitMQDriver(settings)
    with pytest.raises(BrokerUnavailable, match="call connect"):
        await driver.enqueue([Message("id", "queue", b"")])


async def test_a_receipt_is_lost_with_its_driver(settings) -> None:
    driver = RabbitMQDriver(settings)
    await driver.connect()
    await driver.enqueue([Message("id", "lost", b"")])
    held = await driver.dequeue(["lost"], limit=1, lease=30, wait=0)
    await driver.disconnect()
    await driver.connect()
    assert list(await driver.extend(held, lease=30)) == list(held)
    assert list(await driver.settle([Settlement(held[0], Outcome.DONE)])) == list(held)
    (again,) = await driver.dequeue(["lost"], limit=1, lease=30, wait=10)
    assert (again.id, again.attempt) == ("id", 2)
    await driver.disconnect()


async def test_without_names_the_management_url_is_named(settings) -> None:
    driver = RabbitMQDriver(settings)
    await driver.connect()
    with pytest.raises(BrokerRejected, match="set rabbitmq_management_url"):
        await driver.queues()
    await driver.disconnect()
