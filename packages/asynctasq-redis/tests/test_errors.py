"""What a driver says about servers it cannot use."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq.errors import BrokerRejected, BrokerUnavailable

SECRET = "s3cret-pa55"
NO_DISK = ("--save", "", "--appendonly", "no")

pytestmark = pytest.mark.anyio


async def connect_fails(driver, kind: type[Exception]) -> str:
    started = time.monotonic()
    with pytest.raises(kind) as caught:
        await driver.connect()
    assert time.monotonic() - started < 10
    text = str(caught.value)
    assert "\n" not in text
    assert SECRET not in text
    await driver.disconnect()
    return text


async def test_nobody_listens(driver_on) -> None:
    text = await connect_fails(driver_on(f"redis://:{SECRET}@127.0.0.1:1"), BrokerUnavailable)
    assert "cannot reach Redis at redis://:***@127.0.0.1:1/0" in text


async def test_there_is_no_such_host(driver_on) -> None:
    await connect_fails(driver_on("redis://no-such-host.invalid"), BrokerUnavailable)


async def test_there_is_no_such_socket(driver_on, tmp_path) -> None:
    await connect_fails(driver_on(f"unix://{tmp_path}/none.sock"), BrokerUnavailable)


async def test_no_node_of_the_cluster_answers(driver_on) -> None:
    await connect_fails(driver_on(f"redis+cluster://:{SECRET}@127.0.0.1:1"), BrokerUnavailable)


@asynccontextmanager
async def answering(replies: dict[bytes, bytes]) -> AsyncIterator[str]:
    """The URL of a server that knows these commands, and answers nothing else."""
    handlers: set[asyncio.Task[None] | None] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())
        while line := await reader.readline():
            writer.write(replies.get(line.strip().upper(), b""))
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        yield f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        await asyncio.gather(*(task for task in handlers if task))


async def test_a_host_that_says_nothing_is_given_up(driver_on) -> None:
    async with answering({}) as url:
        text = await connect_fails(driver_on(url), BrokerUnavailable)
    assert "no answer in time" in text


async def test_an_old_server_is_refused(driver_on) -> None:
    replies = {b"SETINFO": b"+OK\r\n", b"INFO": b"$22\r\nredis_version:5.0.14\r\n\r\n"}
    async with answering(replies) as url:
        text = await connect_fails(driver_on(url), BrokerRejected)
    assert "5.0.14" in text


@pytest.mark.parametrize("password", ["", f":wrong-{SECRET}@"])
async def test_a_wrong_password_is_named_as_such(server, driver_on, password: str) -> None:
    port = server(*NO_DISK, "--requirepass", SECRET).port
    text = await connect_fails(driver_on(f"redis://{password}127.0.0.1:{port}"), BrokerRejected)
    assert "redis_password" in text


async def test_the_right_password_is_taken(server, driver_on) -> None:
    port = server(*NO_DISK, "--requirepass", SECRET).port
    driver = driver_on(f"redis://127.0.0.1:{port}", redis_password=SECRET)
    await driver.connect()
    await driver.disconnect()


async def test_a_unix_socket_is_used(server, driver_on, tmp_path) -> None:
    path = tmp_path / "redis.sock"
    server(*NO_DISK, "--unixsocket", str(path))
    driver = driver_on(f"unix://{path}?db=2")
    await driver.connect()
    await driver.enqueue([Message("id", "queue", b"")])
    assert len(await driver.dequeue(["queue"], limit=1, lease=30, wait=5)) == 1
    await driver.disconnect()


async def test_a_database_that_is_not_there_is_named_as_such(server, driver_on) -> None:
    text = await connect_fails(driver_on(f"{server(*NO_DISK).url}/99"), BrokerRejected)
    assert "redis_db" in text


async def test_a_replica_takes_nothing(server, driver_on) -> None:
    master = server(*NO_DISK)
    replica = server(*NO_DISK, "--replicaof", "127.0.0.1", str(master.port))
    driver = driver_on(replica.url)
    await driver.connect()
    with pytest.raises(BrokerUnavailable, match="replica"):
        await driver.enqueue([Message("id", "queue", b"")])
    await driver.disconnect()


async def test_a_full_server_takes_nothing_but_lets_work_go_on(server, driver_on) -> None:
    full = server(*NO_DISK)
    driver = driver_on(full.url)
    await driver.connect()
    await driver.enqueue([Message(str(number), "queue", b"") for number in range(4)])
    (early,) = await driver.dequeue(["queue"], limit=1, lease=0.001, wait=0)
    full.ask("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(BrokerUnavailable, match="maxmemory"):
        await driver.enqueue([Message("more", "queue", b"")])
    await asyncio.sleep(0.01)
    again, *held = await driver.dequeue(["queue"], limit=4, lease=30, wait=0)
    assert [again.id, len(held)] == [early.id, 3]
    assert await driver.extend([again, *held], lease=30) == []
    outcomes = (Outcome.DONE, Outcome.RETRY, Outcome.RELEASE, Outcome.DEAD)
    settlements = [
        Settlement(one, outcome) for one, outcome in zip([again, *held], outcomes, strict=True)
    ]
    assert await driver.settle(settlements) == []
    await driver.disconnect()


async def test_a_server_that_evicts_is_warned_of_once(
    server, driver_on, caplog: pytest.LogCaptureFixture
) -> None:
    evicting = server(*NO_DISK, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
    driver = driver_on(evicting.url)
    with caplog.at_level(logging.WARNING, logger="asynctasq.redis"):
        await driver.connect()
        await driver.enqueue([Message("id", "queue", b"")])
    await driver.disconnect()
    (record,) = caplog.records
    assert "allkeys-lru" in record.getMessage()


async def test_a_proper_server_is_not_warned_of(
    server, driver_on, caplog: pytest.LogCaptureFixture
) -> None:
    driver = driver_on(server(*NO_DISK, "--maxmemory", "64mb").url)
    await driver.connect()
    await driver.disconnect()
    assert caplog.records == []


async def test_before_a_connect_it_says_so(driver_on) -> None:
    with pytest.raises(BrokerUnavailable, match="connect"):
        await driver_on("redis://localhost").dequeue(["queue"], limit=1, lease=1, wait=0)


@pytest.mark.parametrize("delay", [-1, float("inf"), float("nan")])
async def test_what_is_no_delay_is_refused(settings, driver_on, delay: float) -> None:
    driver = driver_on(settings.redis_url.get_secret_value())
    with pytest.raises(BrokerRejected, match="delay"):
        await driver.enqueue([Message("id", "queue", b"", delay)])
