"""A broker that is killed and restarted, and its management API."""

import asyncio

import pytest
from pydantic import SecretStr

from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq.errors import BrokerRejected, BrokerUnavailable
from asynctasq_rabbitmq.ladder import milliseconds, top_level
from asynctasq_rabbitmq.names import Names

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

HOUR = 3600.0


async def insist(call):
    """Return the result of a call that is retried while the broker is down."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await call()
            except BrokerUnavailable:
                await asyncio.sleep(0.1)


async def test_messages_and_delays_survive_a_killed_broker(server, driver_on) -> None:
    driver = driver_on(server.url, rabbitmq_management_url=SecretStr(server.management_url))
    await driver.connect()
    await driver.enqueue([Message(str(number), "survive", b"") for number in range(100)])
    await driver.enqueue(
        [Message("hour", "survive", b"", HOUR), Message("soon", "survive", b"", 1)]
    )
    (held,) = await driver.dequeue(["survive"], limit=1, lease=60, wait=5)
    await asyncio.to_thread(server.restart)
    expected = {*(str(number) for number in range(100)), "soon"}
    seen: dict[str, int] = {}
    while set(seen) != expected:
        batch = await insist(lambda: driver.dequeue(["survive"], limit=50, lease=60, wait=5))
        seen |= {one.id: one.attempt for one in batch}
        await insist(
            lambda batch=batch: driver.settle([Settlement(one, Outcome.DONE) for one in batch])
        )
    assert seen[held.id] == 2
    level = Names(driver.settings.rabbitmq_exchange_name).level(top_level(milliseconds(HOUR)))
    topology, _ = await driver._session.run(driver._session.consuming)
    assert await driver._session.run(lambda: topology.counts([level])) == [1]
    await driver.disconnect()


async def test_an_alarm_is_told_and_ends(server, driver_on) -> None:
    driver = driver_on(server.url)
    await driver.connect()
    await driver.enqueue([Message("before", "alarm", b"")])
    await asyncio.to_thread(server.control, "set_vm_memory_high_watermark", "0.00001")

    async def refused() -> str:
        while True:
            try:
                await driver.enqueue([Message("meanwhile", "alarm", b"")])
            except BrokerUnavailable as error:
                return str(error)

    async with asyncio.timeout(30):
        assert "accepts no messages now: low on memory" in await refused()
    await asyncio.to_thread(server.control, "set_vm_memory_high_watermark", "0.4")
    await insist(lambda: driver.enqueue([Message("after", "alarm", b"")]))
    seen: set[str] = set()
    while "after" not in seen:
        seen |= {one.id for one in await driver.dequeue(["alarm"], limit=9, lease=60, wait=5)}
    await driver.disconnect()


async def test_the_management_api_tells_the_names_and_what_runs(server, driver_on) -> None:
    driver = driver_on(server.url)
    await driver.connect()
    await driver.enqueue([Message(str(number), "odd name/ü.", b"") for number in range(3)])
    (held, dead) = await driver.dequeue(["odd name/ü."], limit=2, lease=60, wait=5)
    await driver.settle([Settlement(dead, Outcome.DEAD, note="why")])
    fresh = driver_on(server.url, rabbitmq_management_url=SecretStr(server.management_url))
    await fresh.connect()
    async with asyncio.timeout(30):
        while True:
            stats = {one.queue: one for one in await fresh.queues()}
            found = stats.get("odd name/ü.")
            if found is not None and (found.ready, found.running, found.dead) == (1, 1, 1):
                break
            await asyncio.sleep(0.2)
    await driver.settle([Settlement(held, Outcome.DONE)])
    await driver.disconnect()
    await fresh.disconnect()


@pytest.mark.parametrize(
    ("url", "error", "text"),
    [
        ("http://guest:wrong@127.0.0.1:{port}", BrokerRejected, "refuses the credentials"),
        ("http://127.0.0.1:1", BrokerUnavailable, "cannot reach the management API"),
    ],
)
async def test_a_wrong_management_url_is_named(server, driver_on, url, error, text) -> None:
    management = SecretStr(url.format(port=server.management_port))
    driver = driver_on(server.url, rabbitmq_management_url=management)
    await driver.connect()
    with pytest.raises(error, match=text) as caught:
        await driver.queues()
    assert "wrong" not in str(caught.value)
    await driver.disconnect()


async def test_messages_travel_over_tls(server, driver_on) -> None:
    url = f"amqps://guest:guest@127.0.0.1:{server.tls_port}/?cafile={server.certificate}"
    driver = driver_on(url)
    await driver.connect()
    body = bytes(range(256)) * 4096
    await driver.enqueue([Message("tls", "tls", body)])
    (taken,) = await driver.dequeue(["tls"], limit=1, lease=60, wait=10)
    assert taken.body == body
    assert list(await driver.settle([Settlement(taken, Outcome.DONE)])) == []
    await driver.disconnect()


async def test_a_certificate_nobody_vouches_for_is_refused(server, driver_on) -> None:
    driver = driver_on(f"amqps://guest:guest@127.0.0.1:{server.tls_port}/")
    with pytest.raises(BrokerUnavailable, match="certificate verify failed"):
        await driver.connect()
    await driver.disconnect()
