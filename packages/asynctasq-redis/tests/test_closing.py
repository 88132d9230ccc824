"""Letting go never raises, whatever state the connections are in."""

import asyncio
from typing import Any

import pytest

from asynctasq.drivers import Message
from asynctasq_redis import RedisDriver, pool

NO_DISK = ("--save", "", "--appendonly", "no")

pytestmark = pytest.mark.anyio


async def used(driver: RedisDriver) -> RedisDriver:
    """The driver, with connections of each kind."""
    await driver.connect()
    await driver.enqueue([Message("id", "queue", b"")])
    await driver.dequeue(["queue"], limit=1, lease=60, wait=0)
    assert await driver.dequeue(["queue"], limit=1, lease=60, wait=0.01) == []
    return driver


def parts(driver: RedisDriver) -> Any:
    """Its connections, to be broken."""
    return driver.session.connections


@pytest.mark.parametrize("error", [OSError, RuntimeError, ValueError, TimeoutError])
async def test_a_client_library_that_raises(cluster, driver_on, monkeypatch, error) -> None:
    driver = await used(driver_on(cluster[1]))
    client = parts(driver)._client
    closed = asyncio.Event()
    close = client.aclose

    async def fails() -> None:
        await close()
        closed.set()
        raise error("broken")

    client.aclose = fails
    await driver.disconnect()
    assert closed.is_set()
    await used(driver)
    await driver.disconnect()


@pytest.mark.parametrize("error", [OSError, RuntimeError])
async def test_every_connection_is_closed_though_one_raises(server, driver_on, error) -> None:
    driver = await used(driver_on(server(*NO_DISK).url))
    links = parts(driver)._pool._idle
    await asyncio.gather(*(driver.counts(["queue"]) for _ in range(3)))
    links += [seat.link for seat in driver.session.waiter._spare]
    assert len(links) > 2
    disconnect, closed = type(links[0]).disconnect, []

    def failing(link):
        async def fails(nowait: bool = False) -> None:
            await disconnect(link, nowait)
            closed.append(link)
            raise error("broken")

        return fails

    for link in links:
        link.disconnect = failing(link)
    expected = list(links)
    await driver.disconnect()
    assert {*closed} == {*expected}


async def test_a_connection_that_does_not_close_is_given_up(
    server, driver_on, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "CLOSE_LIMIT", 0.05)
    driver = await used(driver_on(server(*NO_DISK).url))
    (link,) = parts(driver)._pool._idle

    async def hangs(nowait: bool = False) -> None:
        await asyncio.Event().wait()

    original = link.disconnect
    link.disconnect = hangs
    async with asyncio.timeout(10):
        await driver.disconnect()
    await original(nowait=True)


async def test_servers_that_are_gone(cluster, server, driver_on) -> None:
    servers, url = cluster
    one = server(*NO_DISK)
    drivers = [await used(driver_on(url)), await used(driver_on(one.url))]
    for each in (*servers, one):
        each.stop()
    for driver in drivers:
        await driver.disconnect()
        await driver.disconnect()


async def test_servers_that_are_silent(cluster, server, driver_on) -> None:
    servers, url = cluster
    one = server(*NO_DISK)
    drivers = [await used(driver_on(url)), await used(driver_on(one.url))]
    for each in (*servers, one):
        each.pause()
    async with asyncio.timeout(20):
        for driver in drivers:
            await driver.disconnect()
