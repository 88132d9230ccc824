"""The set of the names of queues: what holds messages is on it, and what holds none leaves it."""

from collections.abc import Sequence

import pytest
from redis import Redis
from redis.cluster import RedisCluster

from asynctasq.drivers import Message, Outcome, QueueStats, Settlement, State
from asynctasq.errors import BrokerUnavailable
from asynctasq_redis import RedisDriver, inspector, listing

NO_DISK = ("--save", "", "--appendonly", "no")
NAMES = "asynctasq:queues"

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["server", "cluster"])
def url(request: pytest.FixtureRequest) -> str:
    """Where all keys are in one place, and where they are not."""
    if request.param == "server":
        return request.getfixturevalue("server")(*NO_DISK).url
    return request.getfixturevalue("cluster")[1]


@pytest.fixture
def listed(url: str):
    """A function that reads the set."""
    node = url.replace("+cluster", "").partition(",")[0]
    kind = RedisCluster if "cluster" in url else Redis
    with kind.from_url(node, decode_responses=True) as client:
        yield lambda: client.smembers(NAMES)


async def finish(driver: RedisDriver, *queues: str) -> None:
    """Take all there is, and settle it as done."""
    while taken := await driver.dequeue(queues, limit=100, lease=60, wait=0):
        assert await driver.settle([Settlement(one, Outcome.DONE) for one in taken]) == []


async def names(driver: RedisDriver) -> Sequence[str]:
    return [one.queue for one in await driver.queues()]


async def test_a_queue_whose_first_enqueue_failed_is_listed(server, driver_on) -> None:
    one = server(*NO_DISK)
    driver = driver_on(one.url)
    await driver.connect()
    one.stop()
    with pytest.raises(BrokerUnavailable):
        await driver.enqueue([Message("1", "emails", b"")])
    one.start()
    await driver.enqueue([Message("2", "emails", b"")])
    assert await names(driver) == ["emails"]
    await driver.disconnect()


async def test_on_a_cluster_a_name_that_was_not_written_is_written_later(
    cluster, driver_on
) -> None:
    servers, url = cluster
    slot = int(str(servers[0].ask("CLUSTER", "KEYSLOT", NAMES)))
    elsewhere = next(
        name
        for name in map(str, range(99))
        if int(str(servers[0].ask("CLUSTER", "KEYSLOT", f"{{asynctasq:{name}}}:x"))) % 3 != slot % 3
    )
    driver = driver_on(url)
    await driver.connect()
    servers[slot % 3].ask("SET", NAMES, "of another type")  # so that names cannot be written
    await driver.enqueue([Message("1", elsewhere, b"")])
    servers[slot % 3].ask("DEL", NAMES)
    await driver.enqueue([Message("2", elsewhere, b"")])
    assert await names(driver) == [elsewhere]
    await driver.disconnect()


async def test_what_holds_nothing_leaves_the_set_and_comes_back(url, listed, driver_on) -> None:
    driver = driver_on(url)
    await driver.connect()
    queues = ["dead", "delayed", "done", "held", "ready"]
    await driver.enqueue([Message(one, one, b"", 60 * (one == "delayed")) for one in queues])
    (dead,) = await driver.dequeue(["dead"], limit=1, lease=60, wait=0)
    await driver.settle([Settlement(dead, Outcome.DEAD)])
    await driver.dequeue(["held"], limit=1, lease=60, wait=0)
    await finish(driver, "done")
    assert await names(driver) == ["dead", "delayed", "held", "ready"]
    assert listed() == {"dead", "delayed", "held", "ready"}
    await driver.enqueue([Message("again", "done", b"")])
    assert await names(driver) == queues
    assert listed() == set(queues)
    await driver.disconnect()


async def test_a_bounded_number_leaves_at_once(
    url, listed, driver_on, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "UNLISTED_AT_ONCE", 30)
    driver = driver_on(url)
    await driver.connect()
    queues = [f"user-{number}" for number in range(50)]
    await driver.enqueue([Message("id", queue, b"") for queue in queues])
    await finish(driver, *queues)
    for left in (20, 0, 0):
        assert await names(driver) == []
        assert len(listed()) == left
    await driver.disconnect()


async def test_more_names_than_one_exchange_takes_are_counted(url, driver_on) -> None:
    driver = driver_on(url)
    await driver.connect()
    queues = [f"user-{number:04}" for number in range(inspector.QUEUES_AT_ONCE + 100)]
    await driver.enqueue([Message("id", queue, b"") for queue in queues])
    assert await names(driver) == queues
    await driver.disconnect()


async def test_a_paused_queue_stays(url, listed, driver_on) -> None:
    driver = driver_on(url)
    await driver.connect()
    await driver.enqueue([Message("id", queue, b"") for queue in ("paused", "other")])
    await finish(driver, "paused", "other")
    await driver.pause("paused")
    assert await names(driver) == []
    assert listed() == {"paused"}
    assert await driver.paused() == ["paused"]
    await driver.resume("paused")
    assert await names(driver) == []
    assert listed() == set()
    await driver.disconnect()


class FillsWhileItLooks(RedisDriver):
    """Another process stores a message between the look at a queue and the end of it."""

    producer: RedisDriver

    async def counts(self, queues: Sequence[str]) -> Sequence[QueueStats]:
        stats = await super().counts(queues)
        await self.producer.enqueue([Message("new", "queue", b"")])
        return stats


async def test_a_queue_that_is_being_filled_is_not_unlisted(url, listed, driver_on) -> None:
    producer, looking = driver_on(url), FillsWhileItLooks(driver_on(url).settings)
    looking.producer = producer
    await producer.connect()
    await looking.connect()
    await producer.enqueue([Message("old", "queue", b"")])
    await finish(producer, "queue")
    assert await names(looking) == []  # what it saw
    assert listed() == {"queue"}
    assert await names(producer) == ["queue"]
    await producer.disconnect()
    await looking.disconnect()


async def test_names_are_read_without_the_right_to_write(server, driver_on) -> None:
    one = server(*NO_DISK)
    driver = driver_on(one.url)
    await driver.connect()
    await driver.enqueue([Message("id", queue, b"") for queue in ("full", "empty")])
    await driver.purge("empty", State.READY)
    one.ask("ACL", "SETUSER", "reader", "on", ">secret", "~*", "&*", "+@all", "-srem")
    reader = driver_on(one.url.replace("://", "://reader:secret@"))
    await reader.connect()
    assert await names(reader) == ["full"]
    one.ask("CONFIG", "SET", "maxmemory", "1")
    assert await names(driver) == ["full"]
    await reader.disconnect()
    await driver.disconnect()
