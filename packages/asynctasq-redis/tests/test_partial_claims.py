"""A queue that cannot be asked costs neither what the others gave nor their turn."""

import asyncio
from collections.abc import Sequence

import pytest
from redis import Redis

from asynctasq.drivers import Delivery, Message, Outcome, Settlement
from asynctasq.errors import BrokerError, BrokerRejected, BrokerUnavailable
from asynctasq_redis import RedisDriver

NO_DISK = ("--save", "", "--appendonly", "no")

pytestmark = pytest.mark.anyio


def slot(server, queue: str) -> int:
    return int(str(server.ask("CLUSTER", "KEYSLOT", f"{{asynctasq:{queue}}}:x")))


async def take(driver: RedisDriver, *queues: str) -> Sequence[Delivery]:
    return await driver.dequeue(queues, limit=10, lease=60, wait=0)


async def insist(driver: RedisDriver, *queues: str, count: int) -> list[Delivery]:
    """Dequeue until there are `count` messages, whatever fails meanwhile."""
    taken: list[Delivery] = []
    async with asyncio.timeout(30):
        while len(taken) < count:
            try:
                taken += await take(driver, *queues)
            except BrokerError:
                await asyncio.sleep(0.02)
    return taken


@pytest.mark.parametrize("away_first", [False, True])
async def test_a_node_that_is_away_costs_the_others_nothing(
    cluster, driver_on, away_first: bool
) -> None:
    servers, url = cluster
    here, away = (
        next(name for name in map(str, range(99)) if slot(servers[0], name) % 3 == node)
        for node in (0, 1)
    )
    driver = driver_on(url)
    await driver.connect()
    await driver.enqueue([Message(str(number), here, b"") for number in range(5)])
    servers[1].stop()
    queues = (away, here) if away_first else (here, away)
    taken = await insist(driver, *queues, count=5)
    assert [one.attempt for one in taken] == [1] * 5
    for _ in range(3):  # and it does not go on as if nothing was wrong
        with pytest.raises(BrokerUnavailable):
            await take(driver, *queues)
    assert await driver.settle([Settlement(one, Outcome.DONE) for one in taken]) == []
    servers[1].start()
    await insist_on_storing(driver, away)
    assert [one.attempt for one in await insist(driver, *queues, count=1)] == [1]
    await driver.disconnect()


async def insist_on_storing(driver: RedisDriver, queue: str) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                return await driver.enqueue([Message("again", queue, b"")])
            except BrokerUnavailable:
                await asyncio.sleep(0.05)


async def test_a_silent_node_does_not_keep_what_others_gave(cluster, driver_on) -> None:
    servers, url = cluster
    here, silent = (
        next(name for name in map(str, range(99)) if slot(servers[0], name) % 3 == node)
        for node in (0, 1)
    )
    driver = driver_on(url)
    await driver.connect()
    await driver.enqueue([Message(str(number), here, b"") for number in range(5)])
    servers[1].pause()
    async with asyncio.timeout(4):  # a third of the lease, and not the limit of an exchange
        taken = await driver.dequeue([here, silent], limit=10, lease=3, wait=0)
    assert [one.attempt for one in taken] == [1] * 5
    with pytest.raises(BrokerUnavailable, match="no answer in time"):
        await take(driver, here, silent)
    servers[1].resume()
    await driver.disconnect()


@pytest.mark.parametrize("broken", ["ready", "delayed", "held", "bodies", "meta", "gone"])
@pytest.mark.parametrize("queues", [("good", "bad"), ("bad", "good")])
async def test_a_key_of_another_type_costs_no_message(
    server, driver_on, broken: str, queues: tuple[str, str]
) -> None:
    one = server(*NO_DISK)
    driver = driver_on(one.url)
    await driver.connect()
    for queue in queues:
        await driver.enqueue([Message(f"{queue}{number}", queue, b"") for number in range(3)])
        await driver.enqueue([Message(f"{queue}-late", queue, b"", 0.001)])
    key, spare = f"{{asynctasq:bad}}:{broken}", "{asynctasq:bad}:spare"
    with Redis(port=one.port) as client:
        await asyncio.sleep(0.01)  # what is delayed is due
        moved = client.exists(key) and client.rename(key, spare)
        client.set(key, "of another type")
        taken = await take(driver, *queues)
        assert {one.queue for one in taken} == {"good"}
        with pytest.raises(BrokerRejected, match="wrong kind"):
            await take(driver, *queues)
        client.delete(key)
        if moved:
            client.rename(spare, key)
    taken = [*taken, *await insist(driver, *queues, count=8 - len(taken))]
    assert sorted(one.id for one in taken if one.queue == "bad") == sorted(
        ["bad-late", "bad0", "bad1", "bad2"]
    )
    assert {one.attempt for one in taken} == {1}
    await driver.disconnect()


async def test_markers_of_another_type_are_made_anew(server, driver_on) -> None:
    one = server(*NO_DISK)
    driver = driver_on(one.url)
    await driver.connect()
    await driver.enqueue([Message(str(number), "queue", b"") for number in range(5)])
    one.ask("SET", "{asynctasq:queue}:wake", "of another type")
    taken = await driver.dequeue(["queue"], limit=2, lease=60, wait=0)  # it cannot mark the rest
    with pytest.raises(BrokerRejected):
        await take(driver, "queue")
    taken = [*taken, *await take(driver, "queue")]
    assert sorted((one.id, one.attempt) for one in taken) == [(str(n), 1) for n in range(5)]
    await driver.enqueue([Message("more", "queue", b"")])
    await driver.disconnect()


async def test_the_error_of_one_queue_does_not_reach_a_claim_from_others(server, driver_on) -> None:
    one = server(*NO_DISK)
    driver = driver_on(one.url)
    await driver.connect()
    one.ask("SET", "{asynctasq:bad}:ready", "of another type")
    await driver.enqueue([Message("id", "good", b"")])
    assert len(await take(driver, "good", "bad")) == 1
    assert await take(driver, "good") == []
    with pytest.raises(BrokerRejected):
        await take(driver, "bad", "good")
    await driver.disconnect()


@pytest.mark.parametrize("broken", ["ready", "delayed", "held", "dead", "notes", "wake"])
async def test_what_cannot_be_settled_stays_held(server, driver_on, broken: str) -> None:
    one = server(*NO_DISK)
    driver = driver_on(one.url)
    await driver.connect()
    await driver.enqueue([Message(str(number), "queue", b"") for number in range(4)])
    held = await take(driver, "queue")
    key, spare = f"{{asynctasq:queue}}:{broken}", "{asynctasq:queue}:spare"
    outcomes = [Outcome.RETRY, Outcome.RELEASE, Outcome.DEAD]
    items = [Settlement(*pair) for pair in zip(held, outcomes, strict=False)]
    items.append(Settlement(held[3], Outcome.RETRY, delay=60))
    with Redis(port=one.port) as client:
        moved = client.exists(key) and client.rename(key, spare)
        client.set(key, "of another type")
        with pytest.raises(BrokerRejected):
            await driver.settle(items)
        client.delete(key)
        if moved:
            client.rename(spare, key)
    assert await driver.settle(items) == []
    (stats,) = await driver.queues()
    assert (stats.ready, stats.delayed, stats.running, stats.dead) == (2, 1, 0, 1)
    assert sorted(found.attempt for found in await take(driver, "queue")) == [1, 2]
    await driver.disconnect()


@pytest.mark.parametrize("broken", ["ready", "delayed", "bodies", "wake"])
async def test_what_cannot_be_enqueued_is_not_stored(server, driver_on, broken: str) -> None:
    one = server(*NO_DISK)
    driver = driver_on(one.url)
    await driver.connect()
    one.ask("SET", f"{{asynctasq:queue}}:{broken}", "of another type")
    batch = [Message("now", "queue", b""), Message("later", "queue", b"", 60)]
    with pytest.raises(BrokerRejected):
        await driver.enqueue(batch)
    one.ask("DEL", f"{{asynctasq:queue}}:{broken}")
    assert await driver.queues() == []
    await driver.enqueue(batch)
    (stats,) = await driver.queues()
    assert (stats.ready, stats.delayed) == (1, 1)
    assert [found.id for found in await take(driver, "queue")] == ["now"]
    assert await take(driver, "queue") == []
    await driver.disconnect()
