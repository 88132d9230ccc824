"""What a claim took whose answer was lost comes back at once, and counts no attempt."""

import asyncio
import time

import pytest

from asynctasq.drivers import Delivery, Message, Outcome, Settlement
from asynctasq.errors import BrokerUnavailable
from asynctasq_redis import RedisDriver, lost_claims, pool
from asynctasq_redis.lost_claims import LostClaim
from asynctasq_redis.scripts import Call

NO_DISK = ("--save", "", "--appendonly", "no")
HELD = "{asynctasq:queue}:held"

pytestmark = pytest.mark.anyio


@pytest.fixture
def short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exchange is given up soon."""
    monkeypatch.setattr(pool, "EXCHANGE_LIMIT", 0.5)


async def lose(driver: RedisDriver, server, *queues: str, count: int, lease: float) -> None:
    """Claim from a server that carries it out when the caller has given up."""
    await driver.dequeue(["empty"], limit=1, lease=1, wait=0)  # so that the script is known
    server.pause()
    with pytest.raises(BrokerUnavailable, match="no answer in time"):
        await driver.dequeue(queues, limit=count, lease=lease, wait=0)
    server.resume()
    async with asyncio.timeout(20):
        while server.ask("ZCARD", HELD) != count:
            await asyncio.sleep(0.02)


async def take(driver: RedisDriver, count: int, wait: float = 10.0) -> list[Delivery]:
    taken: list[Delivery] = []
    async with asyncio.timeout(20):
        while len(taken) < count:
            taken += await driver.dequeue(["queue"], limit=count, lease=60, wait=wait)
    return taken


@pytest.mark.usefixtures("short_limit")
async def test_what_a_lost_claim_took_comes_back_uncounted(server, driver_on) -> None:
    one = server(*NO_DISK)
    driver = driver_on(one.url)
    await driver.connect()
    await driver.enqueue([Message(str(number), "queue", b"body") for number in range(20)])
    await lose(driver, one, "other", "queue", count=20, lease=600)
    taken = await take(driver, 20, wait=0)
    assert sorted(int(found.id) for found in taken) == list(range(20))
    assert {(found.attempt, found.body, found.abandoned) for found in taken} == {
        (1, b"body", False)
    }
    assert await driver.settle([Settlement(found, Outcome.DONE) for found in taken]) == []
    await driver.disconnect()


@pytest.mark.usefixtures("short_limit")
async def test_an_earlier_holder_is_fenced_off(server, driver_on) -> None:
    one = server(*NO_DISK)
    driver = driver_on(one.url)
    await driver.connect()
    await driver.enqueue([Message("id", "queue", b"")])
    (early,) = await driver.dequeue(["queue"], limit=1, lease=0.001, wait=0)
    one.ask("ZADD", HELD, 1, early.id)  # long ago
    await lose(driver, one, "queue", count=1, lease=600)
    assert await driver.settle([Settlement(early, Outcome.DONE)]) == [early]
    (again,) = await take(driver, 1, wait=0)
    assert (again.attempt, again.abandoned) == (2, True)
    assert await driver.settle([Settlement(again, Outcome.DONE)]) == []
    assert await driver.queues() == []
    await driver.disconnect()


@pytest.mark.usefixtures("short_limit")
async def test_others_keep_what_they_hold(server, driver_on) -> None:
    one = server(*NO_DISK)
    driver, other = driver_on(one.url), driver_on(one.url)
    await driver.connect()
    await other.connect()
    await driver.enqueue([Message(str(number), "queue", b"") for number in range(1, 4)])
    held = [*await take(other, 1), *await take(driver, 1)]
    server_side = {found.id for found in held}
    one.pause()
    with pytest.raises(BrokerUnavailable):
        await driver.dequeue(["queue"], limit=1, lease=600, wait=0)
    one.resume()
    (mine,) = await take(driver, 1)
    assert mine.id not in server_side
    assert mine.attempt == 1
    assert await driver.dequeue(["queue"], limit=9, lease=60, wait=0) == []
    items = [Settlement(found, Outcome.DONE) for found in [*held, mine]]
    assert await driver.settle(items) == []
    await driver.disconnect()
    await other.disconnect()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every claim after an error looks, and no more often than else."""
    monkeypatch.setattr(lost_claims, "PAUSES", (0.0, 0.0, 0.0))


@pytest.mark.usefixtures("at_once")
async def test_a_claim_that_is_carried_out_late_is_found_later(server, driver_on) -> None:
    one = server(*NO_DISK)
    driver = driver_on(one.url)
    await driver.connect()
    session = driver.session
    token, lease = session.next_token(), 600_000_000
    session.lost_claims.note(LostClaim(token, ["queue"], lease, time.monotonic()))
    assert await driver.dequeue(["queue"], limit=9, lease=60, wait=0) == []
    await driver.enqueue([Message("id", "queue", b"")])
    keys = session.keys.of("dequeue", "queue")
    await session.call(Call("dequeue", keys, (9, lease, token, 0, 0)))
    (found,) = await driver.dequeue(["queue"], limit=9, lease=60, wait=0)
    assert (found.id, found.attempt) == ("id", 1)
    await driver.disconnect()


def scripts(server) -> int:
    """Calls of scripts so far."""
    stats = server.ask("INFO", "commandstats")
    return sum(
        stats[name]["calls"] for name in ("cmdstat_evalsha", "cmdstat_eval") if name in stats
    )


@pytest.mark.usefixtures("at_once")
async def test_it_is_looked_for_a_few_times_only(server, driver_on) -> None:
    one = server(*NO_DISK)
    driver = driver_on(one.url)
    await driver.connect()
    for _ in range(lost_claims.MAX_CLAIMS + 50):
        token = driver.session.next_token()
        driver.session.lost_claims.note(LostClaim(token, ["queue"], 1000, time.monotonic()))
    counts = []
    for _ in range(6):
        before = scripts(one)
        assert await driver.dequeue(["queue"], limit=9, lease=60, wait=0) == []
        counts.append(scripts(one) - before)
    # the first calls are sent twice: the server does not know the scripts yet
    assert counts == [4, 2, 2, 2, 1, 1]
    await driver.disconnect()


@pytest.mark.usefixtures("at_once")
async def test_it_is_found_among_many_leases(server, driver_on) -> None:
    one = server(*NO_DISK)
    driver, other = driver_on(one.url), driver_on(one.url)
    await driver.connect()
    await other.connect()
    await driver.enqueue([Message(str(number), "queue", b"") for number in range(3010)])
    sent = time.monotonic()
    for _ in range(3):
        assert len(await other.dequeue(["queue"], limit=1000, lease=600, wait=0)) == 1000
    token, lease = driver.session.next_token(), 600_000_000
    keys = driver.session.keys.of("dequeue", "queue")
    await driver.session.call(Call("dequeue", keys, (10, lease, token, 0, 0)))
    driver.session.lost_claims.note(LostClaim(token, ["queue"], lease, sent))
    taken = await driver.dequeue(["queue"], limit=1000, lease=60, wait=0)
    assert sorted(int(found.id) for found in taken) == list(range(3000, 3010))
    await driver.disconnect()
    await other.disconnect()


async def test_a_refusal_is_an_answer(server, driver_on) -> None:
    one = server(*NO_DISK)
    driver = driver_on(one.url)
    await driver.connect()
    await driver.enqueue([Message("id", "queue", b"")])
    one.ask("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(BrokerUnavailable, match="replica"):
        await driver.dequeue(["queue"], limit=1, lease=60, wait=0)
    one.ask("REPLICAOF", "NO", "ONE")
    before = scripts(one)
    assert len(await driver.dequeue(["queue"], limit=1, lease=60, wait=0)) == 1
    assert scripts(one) - before == 1
    await driver.disconnect()


async def test_on_a_cluster_a_claim_is_repeated_under_another_token(cluster, driver_on) -> None:
    driver = driver_on(cluster[1])
    await driver.connect()
    await driver.enqueue([Message(str(number), "queue", b"") for number in range(6)])
    await driver.dequeue(["queue"], limit=1, lease=60, wait=0)
    client = driver.session.connections._client
    execute, lost = client.execute_command, []

    async def answer_is_lost(*command: object) -> object:
        reply = await execute(*command)
        if not lost and len(command) > 10:
            lost.append(reply)
            raise ConnectionResetError
        return reply

    client.execute_command = answer_is_lost
    taken = [*await driver.dequeue(["queue"], limit=3, lease=60, wait=0)]
    taken = [*taken, *await driver.dequeue(["queue"], limit=9, lease=60, wait=0)]
    assert len(lost) == 1
    assert len(taken) == 5
    assert {found.attempt for found in taken} == {1}
    await driver.disconnect()
